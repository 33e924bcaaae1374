"""A data set from the network: whole or not at all, and given up soon when no server answers."""

import gzip
import threading

import pytest
from data_files import Reply, files_in, idx, no_network, value_of

from ddpm_course.data import files
from ddpm_course.data.files import FILES, DownloadError
from ddpm_course.data.images import load_digits, load_fashion


def test_the_files_go_into_the_cache_and_are_fetched_once(cache, server):
    images = load_digits()
    assert (value_of(images), images.source) == (50, "network")
    whole = sorted(f"raw/{file}" for file in FILES)
    assert files_in(cache / "MNIST") == whole, "no archive and no part stays"
    assert len(server.asked) == 4
    assert load_digits("test").source == "cache" and len(server.asked) == 4


def test_a_download_shows_a_bar_and_waits_ten_seconds_at_most(server, capsys):
    load_digits()
    assert "train-images-idx3-ubyte.gz" in capsys.readouterr().err
    assert server.timeouts == {files.PATIENCE} and files.PATIENCE <= 10


def test_digits_in_the_cache_are_not_fashion(server):
    load_digits()
    assert load_fashion().source == "network"


def test_without_a_network_the_error_names_the_place_the_reason_and_the_way_out(cache):
    with pytest.raises(DownloadError) as caught:
        load_digits()
    for words in (str(cache), "no network in this test", "DDPM_COURSE_DATA", "MNIST/raw"):
        assert words in str(caught.value)


def test_a_silent_network_is_given_up_soon(monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(files, "PATIENCE", 0.1)
    monkeypatch.setattr(files, "urlopen", lambda url, timeout: released.wait(5))
    try:
        with pytest.raises(DownloadError, match="TimeoutError"):
            load_digits()
        assert load_fashion("test").source == "drawn"
    finally:
        released.set()


@pytest.mark.parametrize("breaks, error", [
    (TimeoutError("timed out"), DownloadError), (ConnectionResetError("gone"), DownloadError),
    (KeyboardInterrupt(), KeyboardInterrupt)])
def test_an_interrupted_download_leaves_whole_files_and_goes_on_from_them(cache, server, breaks, error):
    server.breaks[f"{FILES[2]}.gz"] = breaks
    with pytest.raises(error):
        load_digits()
    assert files_in(cache / "MNIST") == sorted(f"raw/{file}" for file in FILES[:2])
    server.breaks.clear()
    server.asked.clear()
    assert value_of(load_digits("test")) == 50
    assert len(server.asked) == 2, "what had come is kept"


def test_a_wrong_checksum_is_refused(cache, server):
    server.content[f"{FILES[0]}.gz"] = gzip.compress(idx(FILES[0], 66))
    with pytest.raises(DownloadError, match=f"{FILES[0]}.gz came damaged: its MD5 sum is"):
        load_digits()
    assert not files_in(cache)


def test_the_next_mirror_is_asked_when_one_delivers_something_else(server, monkeypatch):
    import torchvision

    def second_mirror_is_sound(url: str, timeout: float) -> Reply:
        return server(url, timeout) if url.startswith("http://two/") else Reply(b"<html>please log in</html>")

    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", ["http://one/", "http://two/"])
    monkeypatch.setattr(files, "urlopen", second_mirror_is_sound)
    assert value_of(load_digits()) == 50
    assert len(server.asked) == 4


def test_a_damaged_download_is_named_and_fetched_again(cache, server, capsys):
    load_fashion()
    broken = cache / "FashionMNIST" / "raw" / FILES[0]
    broken.write_bytes(broken.read_bytes()[:-5])
    capsys.readouterr()
    server.asked.clear()
    images = load_fashion()
    assert (value_of(images), images.source) == (50, "network") and len(server.asked) == 1
    said = capsys.readouterr().out
    assert str(broken) in said and f"{16 + 30 * 784 - 5:,} bytes" in said and f"{16 + 30 * 784:,}" in said


def test_a_damaged_download_is_named_without_a_network_too(cache, server, monkeypatch, capsys):
    load_fashion()
    broken = cache / "FashionMNIST" / "raw" / FILES[3]
    broken.write_bytes(b"")
    monkeypatch.setattr(files, "urlopen", no_network)
    assert load_fashion("test").source == "drawn"
    assert str(broken) in capsys.readouterr().out
