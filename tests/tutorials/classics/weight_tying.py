"""A language model whose output layer is its embedding, trained by truncated backpropagation through time."""

import numpy as np
import torch
import torch.nn as nn

TOKENS = 20


class RNNModel(nn.Module):
    def __init__(self, ninp=12, nlayers=2):
        super().__init__()
        self.encoder = nn.Embedding(TOKENS, ninp)
        self.rnn = nn.GRU(ninp, ninp, nlayers)
        self.decoder = nn.Linear(ninp, TOKENS)
        self.decoder.weight = self.encoder.weight
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)
        self.nhid, self.nlayers = ninp, nlayers

    def forward(self, input, hidden):
        output, hidden = self.rnn(self.encoder(input), hidden)
        return self.decoder(output).view(-1, TOKENS), hidden

    def init_hidden(self, bsz):
        weight = next(self.parameters())
        return weight.new_zeros(self.nlayers, bsz, self.nhid)


def make_model():
    return RNNModel()


def train(model):
    data = torch.tensor(np.random.default_rng(0).integers(0, TOKENS, (25, 3)))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    assert model.decoder.weight is model.encoder.weight
    hidden = model.init_hidden(3)
    losses = []
    for i in range(0, 24, 6):
        x, target = data[i : i + 6], data[i + 1 : i + 7].view(-1)
        hidden = hidden.detach()
        optimizer.zero_grad()
        output, hidden = model(x, hidden)
        loss = criterion(output, target)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()
        losses.append(loss.item())
    return [*losses, len(list(model.parameters()))]
