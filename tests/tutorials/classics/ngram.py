"""Word embeddings from a language model of three words: the first two predict the third."""

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

SENTENCES = (
    "the sea was calm that day and the men were glad",
    "for a calm sea is a rare gift to those who sail",
    "and those who wait on the shore for the men and the day",
)
TEXT = " ".join(SENTENCES).split()
CONTEXT = 2
VOCABULARY = sorted(set(TEXT))
WORD_TO_IX = {word: i for i, word in enumerate(VOCABULARY)}
NGRAMS = [([TEXT[i - j - 1] for j in range(CONTEXT)], TEXT[i]) for i in range(CONTEXT, len(TEXT))]


class NGramLanguageModeler(nn.Module):
    def __init__(self, vocab_size, embedding_dim, context_size):
        super().__init__()
        self.embeddings = nn.Embedding(vocab_size, embedding_dim)
        self.linear1 = nn.Linear(context_size * embedding_dim, 32)
        self.linear2 = nn.Linear(32, vocab_size)

    def forward(self, inputs):
        embeds = self.embeddings(inputs).view((1, -1))
        out = F.relu(self.linear1(embeds))
        return F.log_softmax(self.linear2(out), dim=1)


def make_model():
    return NGramLanguageModeler(len(VOCABULARY), 10, CONTEXT)


def train(model):
    losses = []
    loss_function = nn.NLLLoss()
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    for _ in range(4):
        total_loss = 0
        for context, target in NGRAMS:
            context_idxs = torch.tensor([WORD_TO_IX[w] for w in context], dtype=torch.long)
            model.zero_grad()
            log_probs = model(context_idxs)
            loss = loss_function(log_probs, torch.tensor([WORD_TO_IX[target]], dtype=torch.long))
            loss.backward()
            optimizer.step()
            total_loss += loss.item()
        losses.append(total_loss)
    return losses + model.embeddings.weight[WORD_TO_IX["sea"]].tolist()
