"""Two examples for each command, with which its ``--help`` ends."""

EXAMPLES = {
    "train": (
        "topwork train flowers/",
        "topwork train flowers/ --folds 5 --out runs/flowers",
    ),
    "read": (
        "topwork read flowers/",
        "topwork read flowers/ --preview views.png --views 4",
    ),
    "audit": (
        "topwork audit flowers/",
        "topwork audit flowers/ --fix flowers.csv",
    ),
    "extract": (
        "topwork extract flowers/ efficientnet_lite0@pool",
        "topwork extract flowers/ mobilenet_v2@block_12_add --size 160",
    ),
    "evaluate": (
        "topwork evaluate runs/flowers --wrong",
        "topwork evaluate runs/flowers holiday/ --out runs/holiday",
    ),
    "compare": (
        "topwork compare runs/flowers runs/deeper",
        "topwork compare runs/flowers runs/deeper --json",
    ),
    "report": (
        "topwork report runs/flowers",
        "topwork report runs/flowers runs/deeper --out both.html",
    ),
    "export": (
        "topwork export runs/flowers flowers.onnx",
        "topwork export runs/flowers flowers.tflite --precision int8",
    ),
    "check": (
        "topwork check flowers.onnx",
        "topwork check flowers.tflite holiday/",
    ),
    "serve": (
        "topwork serve flowers.onnx",
        "topwork serve flowers.onnx birds.onnx --host 0.0.0.0 --token SECRET",
    ),
    "predict": (
        "topwork predict flowers.onnx rose.jpg holiday/",
        "topwork predict runs/flowers holiday/ --csv answers.csv",
    ),
    "backbones": (
        "topwork backbones",
        "topwork backbones efficientnet_lite0",
    ),
    "choose": (
        "topwork choose flowers/",
        "topwork choose flowers/ --cut mobilenet_v2@pool --cut resnet50@pool",
    ),
    "curve": (
        "topwork curve flowers/",
        "topwork curve flowers/ --cut mobilenet_v2@pool --plot curve.png",
    ),
    "recipes": (
        "topwork recipes",
        "topwork recipes inception_v3_retrain",
    ),
    "sample": (
        "topwork sample digits digits/",
        "topwork train digits/ --size 64",
    ),
    "doctor": (
        "topwork doctor",
        "topwork doctor --json",
    ),
    "weights": (
        "topwork weights ls",
        "topwork weights fetch mobilenet_v2",
    ),
    "store": (
        "topwork store ls",
        "topwork store prune",
    ),
}


def epilog(command: str) -> str:
    """Return the end of a command's help, whose lines are not wrapped."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in EXAMPLES[command])
