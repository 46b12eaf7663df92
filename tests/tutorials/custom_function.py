"""A custom ``autograd.Function`` in a small regression: the Swish activation with a learned slope.

    y = x s(b x),   dy/dx = s + b x s (1 - s),   dy/db = x^2 s (1 - s),   s = sigmoid(b x)

(Ramachandran, Zoph and Le 2017, "Searching for activation functions", section 5.) A genuine PyTorch script:
``test_tutorials.py`` runs it under PyTorch as it is, and under minicnn with its imports exchanged.
"""

import argparse

import torch
import torch.nn as nn
import torch.optim as optim
from torch.autograd import Function


class SwishFunction(Function):
    @staticmethod
    def forward(ctx, x, beta):
        gate = torch.sigmoid(beta * x)
        ctx.save_for_backward(x, beta, gate)
        return x * gate

    @staticmethod
    def backward(ctx, grad_output):
        x, beta, gate = ctx.saved_tensors
        grad_x = grad_beta = None
        slope = gate * (1 - gate)
        if ctx.needs_input_grad[0]:
            grad_x = grad_output * (gate + beta * x * slope)
        if ctx.needs_input_grad[1]:
            grad_beta = (grad_output * x * x * slope).sum()
        return grad_x, grad_beta


class Swish(nn.Module):
    def __init__(self):
        super().__init__()
        self.beta = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return SwishFunction.apply(x, self.beta)


def main(argv=None):
    parser = argparse.ArgumentParser(description="Fit a curve with a custom activation")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)

    torch.manual_seed(args.seed)
    x = torch.randn(4, dtype=torch.float64, requires_grad=True)
    beta = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(SwishFunction.apply, (x, beta))

    inputs = torch.linspace(-2, 2, 128).reshape(-1, 1)
    targets = inputs**3 - 2 * inputs + 0.05 * torch.randn(128, 1)
    model = nn.Sequential(nn.Linear(1, 32), Swish(), nn.Linear(32, 32), Swish(), nn.Linear(32, 1))
    optimizer = optim.AdamW(model.parameters(), lr=1e-2)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.steps)
    losses = []
    for step in range(args.steps):
        prediction = model(inputs)
        loss = ((prediction - targets) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
        if step % 50 == 0:
            print(
                f"step {step:4d}  loss {loss.item():.5f}  slopes {model[1].beta.item():.3f} {model[3].beta.item():.3f}"
            )
    assert model[1].beta.grad is not None
    return losses, model[1].beta.item()


if __name__ == "__main__":
    main()
