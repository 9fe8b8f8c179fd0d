import pytest

from evalkit.analyses import analyze
from evalkit.results import read_results
from tests.evalkit.made_up_responses import MadeUp


@pytest.fixture
def analysed(tmp_path):
    """Write a made-up study, analyse it, give back its folder and its records by (key, condition, versus, detail)."""

    def make(bundle=False, **changes):
        made = MadeUp(**{"workers": 9, "images": 16, "trials": 12, **changes})
        folder = made.write(tmp_path / "study", bundle=bundle)
        records = read_results(analyze(folder, made.data))
        index = {(r.key, r.condition, r.versus, r.detail): r for r in records if not r.image}
        return (
            folder,
            made,
            records,
            lambda key, condition="", versus="", detail="": index[key, condition, versus, detail],
        )

    return make
