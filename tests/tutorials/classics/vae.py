"""A variational autoencoder with convolutions down and transposed ones up."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim

SIZE, LATENT = 12, 4


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 8, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 16, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.fc_mu = nn.Linear(16 * 3 * 3, LATENT)
        self.fc_logvar = nn.Linear(16 * 3 * 3, LATENT)
        self.decoder = nn.Sequential(
            nn.Linear(LATENT, 16 * 3 * 3),
            nn.ReLU(),
            nn.Unflatten(1, (16, 3, 3)),
            nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(8, 1, 4, stride=2, padding=1),
            nn.Sigmoid(),
        )

    def reparameterize(self, mu, logvar, eps):
        std = torch.exp(0.5 * logvar)
        return mu + eps * std

    def forward(self, x, eps):
        h = self.encoder(x)
        mu, logvar = self.fc_mu(h), self.fc_logvar(h)
        z = self.reparameterize(mu, logvar, eps)
        return self.decoder(z), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    bce = F.binary_cross_entropy(recon_x, x, reduction="sum")
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return bce + kld


def make_model():
    return VAE()


def train(model):
    rng = np.random.default_rng(0)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    model.train()
    for _ in range(6):
        data = torch.tensor(rng.uniform(size=(5, 1, SIZE, SIZE)))
        eps = torch.tensor(rng.standard_normal((5, LATENT)))
        optimizer.zero_grad()
        recon, mu, logvar = model(data, eps)
        loss = loss_function(recon, data, mu, logvar)
        loss.backward()
        losses.append(loss.item() / len(data))
        optimizer.step()
    model.eval()
    with torch.no_grad():
        sample = model.decoder(torch.zeros(1, LATENT))
    return [*losses, sample.mean().item()]
