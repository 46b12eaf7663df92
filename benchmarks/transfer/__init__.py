"""Two experiments in transfer learning, on real images and offline.

==================  ============================================================================================
few_shot.py         5 to 50 images a class of Fashion-MNIST: ImageNet's features against learning from scratch
carried_over.py     a ResNet-18 that PyTorch trained on five classes, fine-tuned here on the other five
page.py             their results as the tables of the documentation
common.py           what both need: images, draws, training, a file of results that a second run goes on with
==================  ============================================================================================

What came out is in ``docs/transfer_experiments.md``.
"""
