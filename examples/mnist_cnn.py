"""Train a small convolutional net on MNIST: the tutorial, functionally.

    python examples/mnist_cnn.py                    # ten epochs, a minute at most
    python examples/mnist_cnn.py --epochs 2 --lr 0.05 --seed 3
    python examples/mnist_cnn.py --epochs 20 --resume

Prints the data set, the model and a line per epoch; writes three figures, the parameters and checkpoints to `--out`.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import fnets
import fnets.numpy as fnp
from fnets import data, io, nn, optim
from fnets.progress import progress

HERE = Path(__file__).resolve().parent

# each image with mean 0 and standard deviation 1, as one channel
transform = data.compose(
    lambda images: images.reshape(-1, 784),
    lambda images: data.normalize(images, axis=1),
    lambda images: images.reshape(-1, 1, 28, 28),
)

model = nn.serial(
    conv=nn.Conv2d(1, 1, (3, 3), stride=1, pad=0),
    pool=nn.MaxPool2d((2, 2), stride=2, pad=0),
    flatten=nn.Flatten(),
    layer1=nn.Linear(169, 100),
    relu1=nn.ReLU(),
    layer2=nn.Linear(100, 100),
    relu2=nn.ReLU(),
    layer3=nn.Linear(100, 10),
    name="Classifier",
)


def loss_fn(params, images, labels):
    """The mean cross entropy of a batch."""
    logits = model.apply(params, images)
    return fnp.mean(nn.softmax_cross_entropy_with_integer_labels(logits, labels))


def make_step(optimizer: optim.GradientTransformation):
    """One training step: pure, compiled once, and the same for every batch of one size."""

    @fnets.jit
    def step(params, state, images, labels):
        loss, gradient = fnets.value_and_grad(loss_fn)(params, images, labels)
        updates, state = optimizer.update(gradient, state, params)
        return optim.apply_updates(params, updates), state, loss

    return step


@fnets.jit
def count_correct(params, images, labels):
    """How many images of a batch are classified rightly."""
    return fnp.sum(fnp.argmax(model.apply(params, images), axis=1) == labels)


def accuracy(params, dataset: data.Dataset) -> float:
    """The share of images that are classified rightly."""
    batches = data.iterator(dataset, batch_size=1000)
    return float(sum(count_correct(params, x, y) for x, y in batches) / len(dataset))


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a small CNN on MNIST with fnets.")
    parser.add_argument("--epochs", type=int, default=10, help="epochs to train (default 10)")
    parser.add_argument("--batch-size", type=int, default=64, help="images per step (default 64)")
    parser.add_argument("--lr", type=float, default=0.1, help="learning rate of SGD (default 0.1)")
    parser.add_argument("--seed", type=int, default=0, help="seed of parameters and shuffling (default 0)")
    parser.add_argument("--data", type=Path, default=HERE / "data" / "mnist", help="folder of the MNIST files")
    parser.add_argument("--out", type=Path, default=Path("out") / "mnist", help="folder for figures and parameters")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint in --out")
    args = parser.parse_args(argv)
    for name in ("epochs", "batch_size"):
        if getattr(args, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1, got {getattr(args, name)}")
    if not args.lr > 0:
        parser.error(f"--lr must be positive, got {args.lr}")
    return args


def main(argv: list[str] | None = None) -> float:
    """Run the tutorial; returns the test accuracy."""
    args = parse_arguments(argv)
    start = time.perf_counter()
    train, test = data.mnist(args.data, transform=transform)
    print(train)
    print(test)
    print(model)

    optimizer = optim.sgd(args.lr)
    step = make_step(optimizer)
    params = model.init(fnets.random.key(args.seed))
    state = optimizer.init(params)
    batches = data.iterator(train, args.batch_size, shuffle=True, seed=args.seed)
    history: list[float] = []
    if args.resume and io.latest_checkpoint(args.out):
        saved, _ = io.load_checkpoint(args.out)
        params = fnets.tree.map(np.asarray, saved["params"])
        history = [float(loss) for loss in saved["history"]]
        batches.restore(saved["batches"])
        print(f"resumed after epoch {len(history)}")

    for epoch in range(len(history), args.epochs):
        total = 0.0
        bar = progress(batches, prefix="Training:", total=len(batches))
        for images, labels in bar:
            params, state, loss = step(params, state, images, labels)
            total += float(loss)
        history.append(total / len(batches))
        print(f"Epoch: {epoch + 1:4d}/{args.epochs} | loss: {history[-1]:1.3E}")
        io.save_checkpoint(args.out, {"params": params, "history": history, "batches": batches.state()}, step=epoch + 1)
    print(f"Total time: {time.perf_counter() - start:.1f} s")

    save_results(args.out, params, history, test)
    result = accuracy(params, test)
    print(f"test accuracy: {result:.4f}")
    return result


def save_results(out: Path, params, history: list[float], test: data.Dataset) -> None:
    """Write the parameters and, where matplotlib is installed, the three figures."""
    out.mkdir(parents=True, exist_ok=True)
    io.save(out / "params.safetensors", params)
    try:
        from fnets import plots

        images = plots.mosaic(test.data[:32], labels=np.argmax(model.apply(params, test.data[:32]), axis=1))
        images.savefig(out / "digits.png")
        plots.loss_curve(history, title="MNIST, training loss").savefig(out / "loss.png")
        plots.weights(params, title="What the net has learned").savefig(out / "weights.png")
        print(f"figures and parameters are in {out}")
    except ImportError as error:
        print(f"parameters are in {out}; no figures: {error}")


if __name__ == "__main__":
    main()
