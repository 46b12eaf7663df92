"""An image is changed, not the network: style from one picture, content from another, with L-BFGS on the pixels."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim


def gram_matrix(input):
    a, b, c, d = input.size()
    features = input.view(a * b, c * d)
    G = torch.mm(features, features.t())
    return G.div(a * b * c * d)


class StyleLoss(nn.Module):
    def __init__(self, target_feature):
        super().__init__()
        self.target = gram_matrix(target_feature).detach()

    def forward(self, input):
        self.loss = F.mse_loss(gram_matrix(input), self.target)
        return input


class ContentLoss(nn.Module):
    def __init__(self, target):
        super().__init__()
        self.target = target.detach()

    def forward(self, input):
        self.loss = F.mse_loss(input, self.target)
        return input


def make_model():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(4, 6, 3, padding=1), nn.ReLU()
    )


def train(cnn):
    rng = np.random.default_rng(0)
    style, content = (torch.tensor(rng.uniform(size=(1, 3, 8, 8))) for _ in range(2))
    cnn.eval().requires_grad_(False)
    model, style_losses, content_losses = nn.Sequential(), [], []
    for i, layer in enumerate(cnn.children()):
        model.add_module(f"layer_{i}", layer)
        if isinstance(layer, nn.Conv2d):
            style_losses.append(StyleLoss(model(style)))
            model.add_module(f"style_loss_{i}", style_losses[-1])
    content_losses.append(ContentLoss(model(content)))
    model.add_module("content_loss", content_losses[-1])

    input_img = content.clone()
    input_img.requires_grad_(True)
    optimizer = optim.LBFGS([input_img], max_iter=4)
    record = []

    def closure():
        with torch.no_grad():
            input_img.clamp_(0, 1)
        optimizer.zero_grad()
        model(input_img)
        style_score = sum(sl.loss for sl in style_losses) * 1e3
        content_score = sum(cl.loss for cl in content_losses)
        loss = style_score + content_score
        loss.backward()
        record.extend([style_score.item(), content_score.item()])
        return style_score + content_score

    for _ in range(2):
        optimizer.step(closure)
    return record
