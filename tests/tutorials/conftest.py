"""Programs that ``test_tutorials.py`` runs with their imports changed; as they stand, this one needs torchvision."""

collect_ignore = ["transfer_learning.py"]
