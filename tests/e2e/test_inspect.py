"""The inspection page in a browser, from the command to the truth that it exports."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import qnet
from browser import Tab, open_browser
from catalogues import make_result, write_redrock, write_templates
from makers import desi_coadd, desi_set, fibermap, write
from qnet.cli import main
from shell import run

pytest.importorskip("plotly")

#: As a hostile file has them: each would run a script if it was taken for HTML.
HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror='window.hacked=2'>"

#: Ids beyond 2^53, which JavaScript's numbers cannot hold.
IDS = (39627565329026280, 39627565329026281, 39627565329026282, 39627565329026283)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Spectra, their catalogue, another one that disagrees on two of them, and the page."""
    folder = tmp_path_factory.mktemp("inspection")
    names = np.array([HOSTILE, "b", "c", "=1+1"])
    cards = {"TILEID": 80605}
    columns = fibermap(IDS, TARGET_NAME=names)
    coadd = write(
        folder / "coadd.fits", desi_coadd(desi_set((1.0, 2.0, 3.0, 2.5)), columns, **cards)
    )
    table = qnet.classify(coadd)
    table["IS_QSO"] = [True, True, True, False]
    table["P_QSO"], table["P_Z"] = [0.99, 0.9, 0.8, 0.3], [1.0, 1.0, 1.0, np.nan]
    table["ZBEST"] = [1.0, 2.0, 3.0, 0.4]
    table["Z2"], table["P2"] = [np.nan, 2.9, np.nan, np.nan], [np.nan, 0.05, np.nan, np.nan]
    table["TARGET_NAME"] = names
    qnet.write_catalogue(table, folder / "catalogue.fits")
    other = make_result(
        [1.0, 2.2, 3.0, 0.4], targetid=np.array(IDS), is_qso=np.array([True, True, True, True])
    )
    fits = {"COEFF": np.array([[1.0, 2.0]] * 4), "SUBTYPE": np.array(["HIZ"] * 4)}
    write_redrock(folder / "redrock.fits", other, **fits)
    write_templates(folder / "templates")
    names = ["catalogue.fits", "coadd.fits", "--other", "redrock.fits", "--explain"]
    names += ["--templates", "templates"]
    done = run("inspect", *names, "-o", "page.html", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("qnet: page of ")
    return folder


@pytest.fixture(scope="module")
def browser():
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def opened(browser, folder):
    """The page in a browser that knows nothing of it. To open it takes seconds: tests share it."""
    return Tab(browser, folder / "page.html")


@pytest.fixture
def tab(opened):
    """The page as it is when it is opened; it complains of nothing and loads nothing."""
    opened.page.evaluate("() => { verdicts = {}; keep(); clearFilters(); show(0); }")
    yield opened
    assert opened.complaints == []
    assert all(url.startswith(("file:", "blob:", "data:")) for url in opened.requests)


def plot(tab, expression):
    """A value of the figure of the spectrum."""
    return tab.page.evaluate(f"(() => {{ const gd = byId('plot'); return {expression}; }})()")


def test_the_queue_begins_with_rows_that_disagree_and_keys_go_through_it(tab):
    ids = list(map(str, IDS))
    # Disagree: row 3 in class (wrong with 0.3), row 1 in redshift (0.1); then the least sure.
    assert tab.listed() == [ids[3], ids[1], ids[2], ids[0]]
    assert tab.current() == ids[3]
    assert "redrock.fits: a quasar at z = 0.4" in tab.text("reasons")
    tab.press("j", "ArrowRight")
    assert tab.current() == ids[2]
    tab.press("k")
    assert tab.current() == ids[1]
    assert "redrock.fits: z = 2.2" in tab.text("reasons")
    assert "probability 0.10" in tab.text("reasons")
    tab.press("o")
    assert float(tab.page.input_value("#z")) == pytest.approx(2.2)
    tab.press("j", "j", "j")
    assert "no further spectrum" in tab.text("message")


def test_the_slider_moves_marks_and_rest_frame(tab):
    tab.page.click(f"#list li:has-text('{IDS[1]}')")

    def position(name):
        return plot(tab, f"gd.layout.annotations.find(a => a.text === '{name}').x")

    assert position("C IV") == pytest.approx(1549.06 * 3.0)
    tab.page.evaluate(
        "() => { const s = document.getElementById('slider'); s.value = Math.log(2.5);"
        " s.dispatchEvent(new Event('input')); }"
    )
    tab.page.wait_for_timeout(100)
    assert position("C III]") == pytest.approx(1908.73 * 2.5, rel=1e-4)
    rest, seen = (plot(tab, f"gd._fullLayout.{axis}.range[0]") for axis in ("xaxis2", "xaxis"))
    assert rest == pytest.approx(seen / 2.5, rel=1e-4)
    tab.press("z")
    assert float(tab.page.input_value("#z")) == pytest.approx(2.0)
    tab.press(">")
    assert float(tab.page.input_value("#z")) == pytest.approx(2.010007, abs=1e-5)
    tab.press("x")
    assert float(tab.page.input_value("#z")) == pytest.approx(2.9)
    assert "Z2 2.9000 (5 %)" in tab.text("candidates")
    tab.press("z", "c")
    assert float(tab.page.input_value("#z")) == pytest.approx(2.9)


def test_the_spectrum_is_that_of_the_file(tab, folder):
    """Flux and noise to their quantisation; smoothed flux has less scatter; p(z) sums to one."""
    tab.page.click(f"#list li:has-text('{IDS[2]}')")
    found = tab.page.evaluate(
        "() => ({w: [...wave], f: [...view.data.flux], s: [...view.data.sigma]})"
    )
    camera = next(c for c in qnet.read_spectra(folder / "coadd.fits").cameras if c.name == "B")
    inside = camera.wave < 3700  # where no two pixels share one of the page
    at = [int(np.abs(np.array(found["w"]) - w).argmin()) for w in camera.wave[inside]]
    flux, sigma = (np.array(found[key], dtype=float)[at] for key in "fs")
    assert np.allclose(flux, camera.flux[2, inside], rtol=1e-3, atol=1e-3)
    assert np.allclose(sigma, camera.ivar[2, inside] ** -0.5, rtol=0.02)
    scatter = [
        float(np.nanstd(np.diff(np.array(plot(tab, f"[...gd.data[{n}].y]"), float))))
        for n in (0, 2)
    ]
    assert scatter[1] < 0.3 * scatter[0]
    total = tab.page.evaluate("() => view.data.pz.reduce((sum, x) => sum + 10 ** x, 0)")
    assert total == pytest.approx(1, abs=0.1)
    fit = np.array(tab.page.evaluate("() => [...view.data.fit]"), dtype=float)
    rest = np.array(found["w"]) / 4  # redshift 3, where redrock's fit is 2 + 4 rest / 5000
    seen = rest > 1220
    assert np.allclose(fit[seen], 2 * (1 + 2 * rest[seen] / 5000), rtol=2e-3)
    assert np.isnan(fit[rest < 1210]).all()
    tab.press("[", "[", "[")
    assert plot(tab, "gd.data[2].name") == "pixels"


@pytest.mark.parametrize(
    ("field", "value", "left"),
    [
        ("#f-z-low", "2.5", [2]),
        ("#f-p-high", "0.9", [3, 1, 2]),
        ("#f-pz-low", "0.5", [1, 2, 0]),
        ("#f-class", "not quasars", [3]),
        ("#f-class", "differs from the other catalogue", [3, 1]),
        ("#f-sort", "redshift", [3, 0, 1, 2]),
        ("#f-id", "281", [1]),
        ("#f-done", "inspected", []),
    ],
)
def test_filters(tab, field, value, left):
    fill = tab.page.select_option if field in ("#f-class", "#f-sort", "#f-done") else tab.page.fill
    fill(field, value)
    assert tab.listed() == [str(IDS[n]) for n in left]
    tab.page.click("#f-clear")
    assert len(tab.listed()) == len(IDS)


def test_flags_are_in_words_and_filtered(tab):
    count = tab.page.eval_on_selector_all("#f-flag option", "all => all.map(x => x.textContent)")
    flags = qnet.read_catalogue(Path(tab.path).with_name("catalogue.fits"))["QN_FLAG"]
    named = {name for value in flags for name in qnet.flag_names(value)}
    assert {text.split()[0] for text in count[2:]} == named
    if named:
        tab.page.select_option("#f-flag", label=count[2])
        name = count[2].split()[0]
        assert len(tab.listed()) == sum(name in qnet.flag_names(value) for value in flags)
        assert name in tab.text("flags")


def export(tab, path):
    with tab.page.expect_download() as waiting:
        tab.page.click("#export")
    waiting.value.save_as(path)
    return waiting.value.suggested_filename


def test_the_figure_leaves_room_for_the_controls(tab):
    """The text above it may have more lines for one spectrum than for another."""
    tab.page.evaluate("() => { byId('reasons').textContent = 'wrong '.repeat(200); }")
    tab.page.wait_for_function(
        "() => document.querySelector('#plot svg').getBoundingClientRect().bottom"
        " <= byId('controls').getBoundingClientRect().top"
    )


def test_verdicts_are_kept_exported_imported_and_read_as_truth(tab, folder, tmp_path):
    tab.page.fill("#scanner", "Ada, L.")
    tab.press("Escape")
    tab.press("s", "j")  # row 3 is a star
    tab.press("o", "q", "3")  # row 1 is a quasar at the redshift of the other catalogue
    tab.page.fill("#comment", 'broad "C IV", sure')
    tab.press("Enter", "j", "a")  # row 2 is accepted; row 0 follows
    tab.press("u", "b")
    assert tab.text("progress") == "4 of 4 inspected"
    assert tab.text("given") == "Verdict: unknown, z = 1.0000, quality 0"
    name = export(tab, tmp_path / "vi.csv")
    assert name == "vi_catalogue_Ada_L_.csv"
    lines = (tmp_path / "vi.csv").read_bytes().decode().split("\r\n")
    assert lines == [
        "TARGETID,TILEID,VI_scanner,VI_quality,VI_issue,VI_z,VI_spectype,VI_comment",
        f'{IDS[3]},80605,"Ada, L.",4,,0.00000,STAR,',
        f'{IDS[1]},80605,"Ada, L.",3,R,2.20000,QSO,"broad ""C IV"", sure"',
        f'{IDS[2]},80605,"Ada, L.",4,,3.00000,QSO,',
        f'{IDS[0]},80605,"Ada, L.",0,S,1.00000,,',
        "",
    ]
    truth = qnet.io.read_truth(tmp_path / "vi.csv")
    assert [(truth[n].class_person, truth[n].z_conf_person, truth[n].z_vi) for n in IDS] == [
        (0, 1, 1.0),
        (3, 3, 2.2),
        (3, 3, 3.0),
        (1, 3, 0.0),
    ]
    found = qnet.evaluate(folder / "catalogue.fits", tmp_path / "vi.csv")
    assert found.metric("completeness").n == 2
    # The browser keeps them; a browser that has nothing gets them from the file.
    tab.open()
    assert tab.text("progress") == "4 of 4 inspected"
    tab.page.evaluate("() => { verdicts = {}; byId('scanner').value = ''; keep(); update(); }")
    assert tab.text("progress") == "0 of 4 inspected"
    tab.page.set_input_files("#import", tmp_path / "vi.csv")
    tab.page.wait_for_selector("#message:has-text('4 verdicts were read.')")
    export(tab, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "vi.csv").read_bytes()
    tab.press("Delete")
    assert tab.text("progress") == "3 of 4 inspected"
    (tmp_path / "odd.csv").write_text("TARGETID,Z\n1,2\n")
    tab.page.set_input_files("#import", tmp_path / "odd.csv")
    tab.page.wait_for_selector("#message:has-text('The table lacks VI_QUALITY')")


def test_a_file_is_data(tab):
    """Text of the files is shown as it is; a script that got through would not run either."""
    tab.page.click(f"#list li:has-text('{IDS[0]}')")
    assert HOSTILE in tab.text("head")
    assert tab.page.evaluate("window.hacked") is None
    assert tab.page.evaluate("document.querySelectorAll('img').length") == 0
    shared = json.loads(tab.page.text_content("#shared"))
    names = [name for name, *_ in shared["columns"]]
    cells = {item["id"]: item["cells"][names.index("TARGET_NAME")] for item in shared["items"]}
    assert cells[str(IDS[0])] == HOSTILE


def test_the_policy_stops_other_scripts(tab):
    tab.page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'window.hacked = 3';"
        " document.body.append(s); }"
    )
    assert tab.page.evaluate("window.hacked") is None
    assert any("Content Security Policy" in text for text in tab.complaints)
    tab.complaints.clear()


def test_what_decided_is_a_layer(tab):
    drawn = "gd.data.filter(t => (t.name || '').startsWith('decides')).map(t => Math.max(...t.y))"
    assert all(most > 0.1 for most in plot(tab, drawn))
    assert len(plot(tab, drawn)) == 2
    tab.press("e")
    assert plot(tab, drawn) == []
    tab.press("e")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["catalogue.fits", "coadd.fits", "-o", "a.txt"], 2, "must end in .html"),
        (["catalogue.fits", "coadd.fits", "-o", "page.html"], 2, "exists already"),
        (["catalogue.fits", "coadd.fits", "-o", "a.html", "-n", "0"], 2, "most must be"),
        (["coadd.fits", "coadd.fits", "-o", "a.html"], 1, "coadd.fits: "),
        (["none.fits", "coadd.fits", "-o", "a.html"], 1, "none.fits: no such file"),
    ],
    ids=range(5),
)
def test_what_cannot_be_inspected(folder, monkeypatch, capsys, arguments, status, message):
    monkeypatch.chdir(folder)
    assert main(["inspect", *arguments]) == status
    (error,) = capsys.readouterr().err.splitlines()
    assert message in error
    assert not (folder / "a.html").exists()
