"""A small transformer encoder reads sentences of different lengths and says which of three kinds they are."""

import math

import numpy as np
import torch
import torch.nn as nn

VOCABULARY, LENGTH, CLASSES = 30, 9, 3


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, max_len=50):
        super().__init__()
        position = torch.arange(max_len).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
        pe = torch.zeros(1, max_len, d_model)
        pe[0, :, 0::2] = torch.sin(position * div_term)
        pe[0, :, 1::2] = torch.cos(position * div_term)
        self.register_buffer("pe", pe)

    def forward(self, x):
        return x + self.pe[:, : x.size(1)]


class TextClassifier(nn.Module):
    def __init__(self, d_model=16, nhead=2, nlayers=2):
        super().__init__()
        self.d_model = d_model
        self.embedding = nn.Embedding(VOCABULARY, d_model, padding_idx=0)
        self.pos_encoder = PositionalEncoding(d_model)
        layer = nn.TransformerEncoderLayer(d_model, nhead, 32, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, nlayers)
        self.decoder = nn.Linear(d_model, CLASSES)

    def forward(self, src):
        mask = src == 0
        x = self.pos_encoder(self.embedding(src) * math.sqrt(self.d_model))
        x = self.encoder(x, src_key_padding_mask=mask)
        keep = (~mask).unsqueeze(-1).to(x.dtype)
        return self.decoder((x * keep).sum(1) / keep.sum(1))


def make_model():
    return TextClassifier()


def batches(count, n=6):
    rng = np.random.default_rng(0)
    for _ in range(count):
        tokens = rng.integers(1, VOCABULARY, (n, LENGTH))
        for row, length in zip(tokens, rng.integers(3, LENGTH + 1, n), strict=True):
            row[length:] = 0
        yield torch.from_numpy(tokens), torch.from_numpy(tokens[:, 0] % CLASSES)


def train(model):
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    warm_up = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=3)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)
    scheduler = torch.optim.lr_scheduler.SequentialLR(optimizer, [warm_up, decay], [3])
    losses = []
    model.train()
    for src, target in batches(8):
        optimizer.zero_grad()
        loss = criterion(model(src), target)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses
