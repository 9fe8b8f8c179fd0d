"""What CycleGAN's file names cannot promise; its Torch and PyTorch code name their results alike."""

NAMED_AFTER_THE_OTHER_DOMAIN = frozenset({"real_B", "fake_A", "rec_B", "idt_A", "identity_A"})
"""Kinds made or taken from domain B that bear the name of the domain-A image of their row."""


def pairing_warnings(label: str) -> tuple[str, ...]:
    """A warning for kinds whose name is not their input's own.

    Source: test.py and visualizer.py of junyanz/pytorch-CycleGAN-and-pix2pix, test.lua of junyanz/CycleGAN.
    """
    if label not in NAMED_AFTER_THE_OTHER_DOMAIN:
        return ()
    warning = (
        f"CycleGAN names all images of a row after the domain-A image: {label} and its partners of the same name "
        'belong together only if testA and testB are index-aligned (otherwise use pairing = "different" and read '
        "source ids as row numbers); with more images in B than in A, rows are overwritten"
    )
    return (warning,)
