"""Large batches in small pieces: gradients are added up, clipped, and the weights averaged along the way."""

import numpy as np
import torch
import torch.nn as nn
from torch.optim.swa_utils import SWALR, AveragedModel, get_ema_multi_avg_fn, update_bn
from torch.utils.data import DataLoader, TensorDataset


def make_model():
    return nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 3))


def train(model):
    rng = np.random.default_rng(0)
    features = torch.tensor(rng.standard_normal((32, 6)))
    labels = torch.tensor(rng.integers(0, 3, 32))
    loader = DataLoader(TensorDataset(features, labels), batch_size=4, shuffle=False)
    decay, no_decay = [], []
    for name, parameter in model.named_parameters():
        (no_decay if name.endswith("bias") or parameter.ndim == 1 else decay).append(parameter)
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.1}, {"params": no_decay, "weight_decay": 0.0}], lr=0.01
    )
    ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    scheduler = SWALR(optimizer, swa_lr=0.002, anneal_epochs=4)
    criterion = nn.CrossEntropyLoss()
    accumulate, record = 4, []
    for _ in range(3):
        for step, (x, y) in enumerate(loader):
            loss = criterion(model(x), y) / accumulate
            loss.backward()
            if (step + 1) % accumulate == 0:
                norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm=0.5)
                optimizer.step()
                optimizer.zero_grad()
                ema.update_parameters(model)
                record += [loss.item(), norm.item()]
        scheduler.step()
        record.append(scheduler.get_last_lr()[0])
    update_bn(loader, ema)
    ema.eval()
    with torch.no_grad():
        record.append(criterion(ema(features), labels).item())
    return record
