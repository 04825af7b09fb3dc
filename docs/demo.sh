#!/bin/sh
# The main job on real pictures, in the folder demo/: read, train in two phases, evaluate, export, predict.
# Usage: sh docs/demo.sh BIN, where BIN is the folder that the command topwork is installed in.
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

# The official file, named as Keras names it. A size without a file of its own takes that of 224, as in Keras.
file="${KERAS_HOME:-$HOME/.keras}/models/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5"
if [ -f "$file" ]; then
    weights=imagenet
    echo "Weights: mobilenet_v2_035 with its ImageNet weights."
else
    weights=random
    echo "Weights: mobilenet_v2_035 with RANDOM weights, for its ImageNet file is not at hand:"
    echo "  $file"
    echo "The demo shows how things work. Expect poor scores: nothing below the cut was ever trained."
fi

topwork sample digits demo/digits
topwork read demo/digits
topwork train demo/digits --size 64 --weights "$weights" --out demo/run \
    --cut mobilenet_v2_035@pool --epochs 20 --rate 1e-3 \
    --cut mobilenet_v2_035@block_12_add --epochs 8 --rate 3e-5
topwork evaluate demo/run
topwork export demo/run demo/digits.onnx
topwork predict demo/digits.onnx demo/digits/0/0000.png demo/digits/7/0007.png demo/digits/9/0009.png
