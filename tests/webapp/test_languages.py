"""Every text that participants read exists in every language; the language is the study's or the participant's choice."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from flask.testing import FlaskClient

import webapp
from studies.design import Language
from studies.errors import UserError
from studies.texts import Told, told
from tests.made_up_study import make_study
from tests.webapp.conftest import Hosting, make_named_study
from webapp import export
from webapp.app import create_app
from webapp.hosting import HostedStudy
from webapp.languages import FOLDER, NAMES, SCRIPT_TEXTS, TAGS, say, script_texts
from webapp.sessions import REFUSALS
from webapp.views.participant import CONSENT_TEXT
from webapp.views.refusals import PAGES

ROOT = Path(webapp.__file__).parents[1]
MAPPING = [("templates/dashboard**", "ignore"), ("**.py", "python"), ("**.html", "jinja2")]
KEYWORDS: Any = {"_": None, "gettext": None, "ngettext": (1, 2), "told": None}
TRANSLATED = [language for language in get_args(Language) if language != "en"]
CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')
PLACES = re.compile(r"%\(\w+\)s|\{\w+\}")
CHINESE = {
    "approval": "伦理批号 1",
    "contact": "study@lab.example",
    "retention": "匿名保存十年。",
    "pay": "无报酬。",
}


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """SQLite only: nothing here depends on the database."""
    return f"sqlite:///{tmp_path / 'database.sqlite'}"


def extracted() -> Iterator[str]:
    """Every text marked for translation; of a singular and a plural the singular, which is the key."""
    for package in ("webapp", "studies"):
        for _, _, found, _, _ in extract_from_dir(ROOT / package, MAPPING, keywords=KEYWORDS):
            yield found[0] if isinstance(found, tuple) else found


def catalogue(language: str) -> Catalog:
    with (FOLDER / language / "LC_MESSAGES" / "messages.po").open("rb") as stream:
        return read_po(stream, locale=language)


def strings(message: Message) -> list[str]:
    return [message.string] if isinstance(message.string, str) else list(message.string)


def test_the_languages_of_a_study_are_those_that_the_page_speaks() -> None:
    assert set(get_args(Language)) == set(NAMES) == set(TAGS)
    assert sorted(path.name for path in FOLDER.iterdir() if path.is_dir()) == sorted(TRANSLATED)


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_text_is_translated_and_none_is_a_guess(language: str) -> None:
    known = catalogue(language)
    texts = set(extracted())
    assert len(texts) > 100
    missing = [text for text in texts if known.get(text) is None or not all(strings(known.get(text)))]  # type: ignore[arg-type]
    assert missing == []
    assert [message.id for message in known if message.id and message.fuzzy] == []
    left_over = [message.id for message in known if message.id and _key(message) not in texts]
    assert left_over == []


def _key(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_translation_has_the_same_places_for_values(language: str) -> None:
    for message in catalogue(language):
        if message.id:
            original = message.id if isinstance(message.id, str) else message.id[1]
            for string in strings(message):
                assert sorted(PLACES.findall(string)) == sorted(PLACES.findall(original)), original


@pytest.mark.parametrize("language", TRANSLATED)
def test_the_compiled_catalogue_is_that_of_the_texts(language: str) -> None:
    with (FOLDER / language / "LC_MESSAGES" / "messages.mo").open("rb") as stream:
        compiled = read_mo(stream)
    written = catalogue(language)
    assert {_key(message): strings(message) for message in compiled if message.id} == {
        _key(message): strings(message) for message in written if message.id
    }
    assert compiled.num_plurals == written.num_plurals


def test_chinese_has_chinese_punctuation() -> None:
    for message in catalogue("zh"):
        if message.id:
            for string in strings(message):
                assert not re.search(r"[\u4e00-\u9fff][,:;?!]", string), string


def test_every_language_has_its_own_consent_text() -> None:
    folder = ROOT / "webapp" / "templates" / "consent"
    for language in NAMES:
        text = (folder / f"{CONSENT_TEXT}.{language}.html").read_text(encoding="utf-8")
        for value in ("approval", "contact", "retention", "minimum_age", "pay", "minutes"):
            assert f"ethics.{value}" in text


def test_a_value_that_is_a_text_itself_is_translated_first() -> None:
    text = told("Two images appear side by side for {duration}.", duration=told("one second"))
    assert say(text, "en") == "Two images appear side by side for one second."
    assert say(text, "zh") == "并排出现两张图像，显示 1 秒。"
    assert say(Told("Nobody translated {this}.", (("this", 1),)), "zh") == "Nobody translated 1."


def test_every_text_that_a_script_says_exists_and_none_is_idle() -> None:
    scripts = {path.name: path.read_text("utf-8") for path in (ROOT / "webapp" / "static").glob("*.js")}
    lines = [line for text in scripts.values() for line in text.splitlines() if re.search(r"\bsay\(", line)]
    said = {key for line in lines for key in re.findall(r'say\("(\w+)"', line)}
    said |= {key for line in lines for pair in re.findall(r'\? "(\w+)" : "(\w+)"', line) for key in pair}
    said |= {key for line in lines for key in re.findall(r'"(failed|incorrect)"', line)}
    assert said - SCRIPT_TEXTS.keys() == set()
    families = ("void_", "incorrect_", "refused_")
    words = {"real", "fake", "match", "other"}  # the truth of a practice trial
    idle = {key for key in SCRIPT_TEXTS if key not in said | words and not key.startswith(families)}
    assert idle == set()
    assert script_texts("zh").keys() == SCRIPT_TEXTS.keys()


@pytest.mark.parametrize(
    "name", ["player.js", "feedback.js", "question.js", "views.js", "stimuli.js", "api.js"]
)
def test_no_script_holds_a_text_of_its_own(name: str) -> None:
    text = (ROOT / "webapp" / "static" / name).read_text(encoding="utf-8")
    code = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)
    code = re.sub(r"throw new Error\(.*?\)|super\(.*?\)|The server answered \$\{reply.status\}", "", code)
    sentences = [
        each
        for each in re.findall(r'"([^"\n]*)"|`([^`]*)`', code)
        if re.search(r"[A-Z]\w+ \w+", "".join(each))
    ]
    assert sentences == []


# Which language


def chinese_study(folder: Path, *languages: str, **settings: Any) -> Path:
    page = {"languages": list(languages), "texts": {"zh": CHINESE}, **settings}
    return make_named_study(folder, page=page)


def visit(hosted: HostedStudy, accept_language: str = "") -> FlaskClient:
    client = create_app(hosted).test_client()
    client.environ_base["HTTP_ACCEPT_LANGUAGE"] = accept_language
    return client


def submit(client: FlaskClient, form: str, to: str, **fields: str) -> Any:
    token = CSRF.search(client.get(form).text)
    assert token is not None
    return client.post(to, data={"csrf_token": token[1], **fields})


def test_a_study_in_one_language_speaks_it_whatever_the_browser_asks_for(
    hosting: Hosting, tmp_path: Path
) -> None:
    client = visit(hosting(where=chinese_study(tmp_path / "zh", "zh")), "en-GB,en;q=0.9")
    assert client.get("/?worker_id=w1").location == "/consent"
    consent = client.get("/consent")
    assert '<html lang="zh-Hans">' in consent.text
    assert "开始之前" in consent.text
    assert "匿名保存十年。" in consent.text
    assert client.get("/language").location == "/"


def test_an_english_study_stays_english_for_a_chinese_browser(hosted: HostedStudy) -> None:
    client = visit(hosted, "zh-CN,zh")
    client.get("/?worker_id=w1")
    assert '<html lang="en">' in client.get("/consent").text


@pytest.mark.parametrize(("chosen", "heading"), [("en", "Before you begin"), ("zh", "开始之前")])
def test_with_several_languages_the_participant_chooses_before_the_consent_and_it_is_recorded(
    hosting: Hosting, tmp_path: Path, chosen: str, heading: str
) -> None:
    hosted = hosting(where=chinese_study(tmp_path / "both", "en", "zh"))
    client = visit(hosted, "zh-CN")
    client.get("/?worker_id=w1")
    assert client.get("/consent").location == "/language"
    choice = client.get("/language").text
    assert 'lang="en">English</button>' in choice
    assert 'lang="zh-Hans">中文</button>' in choice
    assert submit(client, "/language", "/language", language=chosen).location == "/consent"
    assert heading in client.get("/consent").text
    assert submit(client, "/consent", "/consent", agree="yes").location == "/session"
    [row] = export.sessions(hosted)
    assert row.language == chosen
    assert re.fullmatch(rf"{CONSENT_TEXT}-{chosen}-[0-9a-f]{{10}}", row.consent_version)
    assert client.get("/language").location == "/"  # from now on it stays
    state = client.post("/api/page").json
    assert state is not None
    question = state["trials"][0]["schedule"][-1]
    assert question["text"] == say(told("Which image was fake?"), chosen)
    assert [button["label"] for button in question["buttons"]] == [
        say(told(t), chosen) for t in ("Left", "Right")
    ]


def test_consent_without_a_choice_is_sent_back_to_it(hosting: Hosting, tmp_path: Path) -> None:
    hosted = hosting(where=chinese_study(tmp_path / "both", "en", "zh"))
    client = visit(hosted)
    client.get("/?worker_id=w1")
    assert submit(client, "/language", "/consent", agree="yes").location == "/language"
    assert submit(client, "/language", "/language", language="fr").location == "/consent"
    assert client.get("/consent").location == "/language"
    assert export.sessions(hosted) == []


def test_somebody_else_at_the_same_browser_chooses_again(hosting: Hosting, tmp_path: Path) -> None:
    hosted = hosting(where=chinese_study(tmp_path / "both", "en", "zh"))
    client = visit(hosted)
    client.get("/?worker_id=w1")
    submit(client, "/language", "/language", language="zh")
    client.get("/?worker_id=w2")
    assert client.get("/consent").location == "/language"


def test_the_page_that_asks_for_an_id_offers_the_languages_too(hosting: Hosting, tmp_path: Path) -> None:
    client = visit(hosting(where=chinese_study(tmp_path / "both", "en", "zh")))
    assert "Your participant id" in client.get("/").text
    assert submit(client, "/", "/language", language="zh").location == "/"
    assert "参与者编号" in client.get("/").text
    client.get("/?worker_id=w1")
    assert "开始之前" in client.get("/consent").text  # chosen once is enough


def test_refusals_and_errors_are_said_in_the_language_of_the_study(hosting: Hosting, tmp_path: Path) -> None:
    client = visit(hosting(where=chinese_study(tmp_path / "zh", "zh")))
    assert "没有这个页面" in client.get("/nowhere").text
    client.get("/?worker_id=w1")
    assert "操作未成功" in client.post("/consent", data={"agree": "yes"}).text
    submit(client, "/consent", "/consent", agree="yes")
    stranger = visit(hosting("live", where=tmp_path / "zh"))
    assert "您已经参加过了" in stranger.get("/?worker_id=w1").text


def test_every_reason_not_to_let_somebody_in_has_a_page_in_every_language() -> None:
    """The codes are read in the source, so that a new one cannot be forgotten."""
    sources = [
        *(ROOT / "webapp" / "recruitment").glob("*.py"),
        ROOT / "webapp" / "views" / "participant.py",
        ROOT / "webapp" / "views" / "limits.py",
    ]
    text = "".join(path.read_text(encoding="utf-8") for path in sources)
    codes = set(re.findall(r'EntryRefused\(\s*"(\w+)"', text))
    codes |= set(re.findall(r'Refusal\(\s*4\d\d, "(\w+)"', text)) | REFUSALS.keys()
    assert {"unproven", "ended", "too_many", "nobody", "full"} <= codes
    assert codes | {"returning", "unknown_session"} == PAGES.keys()
    filled = [Told(each.text, (("contact", "@"),)) for page in PAGES.values() for each in page]
    latin = [
        each.text for each in filled if re.search("[A-Za-z]{3}", say(each, "zh").replace("Cookie", ""))
    ]  # as Chinese browsers call it
    assert latin == []


@pytest.mark.parametrize(
    ("page", "message"),
    [
        (
            {"languages": ["en", "zh"]},
            (
                "[page]: languages names 'zh', so study.toml needs a table [page.texts.zh] with approval, contact, "
                "retention and pay in that language."
            ),
        ),
        (
            {"languages": ["zh"], "texts": {"zh": {k: v for k, v in CHINESE.items() if k != "pay"}}},
            "[page.texts.zh] pay: is missing; add it.",
        ),
        ({"languages": ["fr"]}, "[page.languages] 0 = 'fr': Input should be 'en' or 'zh'."),
        ({"languages": ["en", "en"]}, "[page]: languages names a language twice; name each once."),
    ],
)
def test_a_language_that_lacks_a_text_is_refused_in_one_line(tmp_path: Path, page: Any, message: str) -> None:
    with pytest.raises(UserError) as error:
        make_study(tmp_path / "study", page=page)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_the_texts_of_the_scripts_reach_the_page_in_its_language(hosting: Hosting, tmp_path: Path) -> None:
    client = visit(hosting(where=chinese_study(tmp_path / "zh", "zh")))
    client.get("/?worker_id=w1")
    submit(client, "/consent", "/consent", agree="yes")
    found = re.search(
        r'<script type="application/json" id="study">(.*?)</script>', client.get("/session").text
    )
    assert found is not None
    assert json.loads(found[1])["texts"] == script_texts("zh")
