"""Which language is a name from? A recurrent network over characters, written out by hand, trained name by name."""

import string

import torch
import torch.nn as nn

NAMES = {
    "german": ["Schmidt", "Bauer", "Krause"],
    "italian": ["Rossi", "Bianchi", "Conti"],
    "greek": ["Pappas", "Kanelos"],
}
LETTERS = string.ascii_letters + " .,;'"
CATEGORIES = list(NAMES)


def name_to_tensor(name):
    tensor = torch.zeros(len(name), 1, len(LETTERS))
    for i, letter in enumerate(name):
        tensor[i][0][LETTERS.find(letter)] = 1
    return tensor


class RNN(nn.Module):
    def __init__(self, input_size, hidden_size, output_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.i2h = nn.Linear(input_size + hidden_size, hidden_size)
        self.h2o = nn.Linear(hidden_size, output_size)
        self.softmax = nn.LogSoftmax(dim=1)

    def forward(self, letter, hidden):
        combined = torch.cat((letter, hidden), 1)
        hidden = torch.tanh(self.i2h(combined))
        return self.softmax(self.h2o(hidden)), hidden

    def init_hidden(self):
        return torch.zeros(1, self.hidden_size)


def make_model():
    return RNN(len(LETTERS), 16, len(CATEGORIES))


def train(rnn):
    criterion = nn.NLLLoss()
    learning_rate = 0.05
    losses = []
    for _ in range(3):
        for label, category in enumerate(CATEGORIES):
            for name in NAMES[category]:
                line = name_to_tensor(name)
                hidden = rnn.init_hidden()
                rnn.zero_grad()
                for i in range(line.size()[0]):
                    output, hidden = rnn(line[i], hidden)
                loss = criterion(output, torch.tensor([label]))
                loss.backward()
                nn.utils.clip_grad_norm_(rnn.parameters(), 1.0)
                for p in rnn.parameters():
                    p.data.add_(p.grad.data, alpha=-learning_rate)
                losses.append(loss.item())
    with torch.no_grad():
        topv, topi = output.topk(2, 1, True)
    return losses + topv[0].tolist() + [float(i) for i in topi[0]]
