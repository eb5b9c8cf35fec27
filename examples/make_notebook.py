"""Writes and executes `mnist_cnn.ipynb`, the tutorial as a notebook: `python examples/make_notebook.py` (needs nbformat, nbclient, ipykernel)."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent

CELLS = [
    ("markdown", "# A small CNN on MNIST, functionally\n\nLoad the data, look at it, build the net, train it, look at what it has learned. "
     "`examples/mnist_cnn.py` is the same as a program."),
    ("code", "%matplotlib inline\nimport time\n\nimport numpy as np\n\nimport fnets\nimport fnets.numpy as fnp\n"
     "from fnets import data, nn, optim, plots\nfrom fnets.progress import progress"),
    ("markdown", "## Data\n\nEvery image is brought to mean 0 and standard deviation 1, once and for all. The files come with the repository; "
     "their checksums are verified."),
    ("code", "transform = data.compose(\n    lambda images: images.reshape(-1, 784),\n    lambda images: data.normalize(images, axis=1),\n"
     "    lambda images: images.reshape(-1, 1, 28, 28),\n)\ntrain, test = data.mnist(transform=transform)\ntrain"),
    ("code", "image, label = train[0]\nprint(f\"{len(train)} examples; the first is a {label} of shape {image.shape}\")\n"
     "plots.mosaic(train.data[:32], rows=4, cols=8, labels=train.labels[:32])"),
    ("markdown", "Batches are shuffled anew in every epoch, by a permutation that depends on the seed and the epoch alone."),
    ("code", "batches = data.iterator(train, batch_size=64, shuffle=True, seed=0)\nlen(batches)"),
    ("markdown", "## The net\n\nA model is an `(init, apply)` pair; the parameters are a dictionary of plain arrays."),
    ("code", "model = nn.serial(\n    conv=nn.Conv2d(1, 1, (3, 3), stride=1, pad=0),\n    pool=nn.MaxPool2d((2, 2), stride=2, pad=0),\n"
     "    flatten=nn.Flatten(),\n    layer1=nn.Linear(169, 100),\n    relu1=nn.ReLU(),\n    layer2=nn.Linear(100, 100),\n    relu2=nn.ReLU(),\n"
     "    layer3=nn.Linear(100, 10),\n    name=\"Classifier\",\n)\nparams = model.init(fnets.random.key(0))\nmodel"),
    ("code", "fnets.tree.map(lambda p: (p.shape, p.dtype.name), params)"),
    ("markdown", "## Training\n\nA step is a pure function. `value_and_grad` gives the loss and the gradient, the optimizer turns the gradient into an update, "
     "and `jit` compiles the whole."),
    ("code", "def loss_fn(params, images, labels):\n    logits = model.apply(params, images)\n"
     "    return fnp.mean(nn.softmax_cross_entropy_with_integer_labels(logits, labels))\n\n\noptimizer = optim.sgd(0.1)\n\n\n@fnets.jit\n"
     "def step(params, state, images, labels):\n    loss, gradient = fnets.value_and_grad(loss_fn)(params, images, labels)\n"
     "    updates, state = optimizer.update(gradient, state, params)\n    return optim.apply_updates(params, updates), state, loss"),
    ("code", "EPOCHS = 10\nstate = optimizer.init(params)\nhistory = []\nstart = time.perf_counter()\nfor epoch in range(EPOCHS):\n    total = 0.0\n"
     "    for images, labels in progress(batches, prefix=\"Training:\"):\n        params, state, loss = step(params, state, images, labels)\n"
     "        total += float(loss)\n    history.append(total / len(batches))\n    print(f\"Epoch: {epoch + 1:4d}/{EPOCHS} | loss: {history[-1]:1.3E}\")\n"
     "print(f\"Total time: {time.perf_counter() - start:.1f} s\")"),
    ("code", "plots.loss_curve(history, title=\"MNIST, training loss\")"),
    ("markdown", "## Results"),
    ("code", "predicted = np.concatenate([np.argmax(model.apply(params, x), axis=1) for x, _ in data.iterator(test, 1000)])\n"
     "print(f\"test accuracy: {np.mean(predicted == test.labels):.4f}\")\nwrong = np.flatnonzero(predicted != test.labels)[:32]\n"
     "plots.mosaic(test.data[wrong], labels=[f\"{t} as {p}\" for t, p in zip(test.labels[wrong], predicted[wrong])])"),
    ("code", "plots.weights(params, title=\"What the net has learned\")"),
]  # fmt: skip


def main() -> None:
    """Build the notebook, run it, and write it with its results."""
    cells = [
        nbformat.v4.new_markdown_cell(text) if kind == "markdown" else nbformat.v4.new_code_cell(text)
        for kind, text in CELLS
    ]
    for i, cell in enumerate(cells):
        cell["id"] = f"cell-{i:02d}"
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    client = NotebookClient(
        notebook, timeout=900, coalesce_streams=True, resources={"metadata": {"path": str(HERE.parent)}}
    )
    client.execute()
    for cell in notebook.cells:
        cell.get("metadata", {}).pop("execution", None)
    nbformat.write(notebook, HERE / "mnist_cnn.ipynb")


if __name__ == "__main__":
    main()
