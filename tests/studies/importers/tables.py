"""Small files to import."""

import csv


def write_rows(path, header, rows):
    """A CSV file with these rows; returns its path."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def judged(workers=("w1", "w2", "w3"), condition="gan"):
    """Single images: each worker judges two fakes and two real images; w1 is fooled by f1."""
    return [
        (worker, image, fake, said, condition)
        for worker in workers
        for image, fake, said in (
            ("f1", 1, int(worker == "w1")),
            ("f2", 1, 0),
            ("r1", 0, 1),
            ("r2", 0, 1),
        )
    ]


SINGLE = ("who", "file", "fake", "said", "model")
SINGLE_MAP = ["worker=who,image=file,is_fake=fake,said_real=said,condition=model"]


def amt_batch(path, *, base=0, trials=4, extension=".jpg", algorithms=("gan",), selections=None, extra=()):
    """A batch of AMT_Real_vs_Fake: two workers, real on the left in even trials, the left image always judged fake."""
    groups = ("Input.gt_side", "Input.images_left", "Input.images_right", "Answer.selection")
    header = ["HITId", "WorkerId", *(f"{group}{base + i}" for i in range(trials) for group in groups)]
    rows = []
    for number, worker in enumerate(("A1", "A2")):
        algorithm = algorithms[number % len(algorithms)]
        cells = []
        for i in range(trials):
            real, fake = f"gt/{i}{extension}", f"{algorithm}/{i}{extension}"
            chosen = "left" if selections is None else selections[number][i]
            cells += ["left", real, fake, chosen] if i % 2 == 0 else ["right", fake, real, chosen]
        rows.append(["h", worker, *cells])
    return write_rows(path, header, [*rows, *extra])
