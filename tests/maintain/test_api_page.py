"""docs/api.md is the same whoever draws it."""

from cifar_maintain.api_page import api_page


def test_a_signature_shows_no_address_of_this_process() -> None:
    page = api_page(["cifar_data"])
    assert " at 0x" not in page
    assert "progress: Callable[[str], None] = ..." in page


def test_a_mapping_is_drawn_as_its_keys() -> None:
    assert "Keys: `notebook`, `seed-cnn`, " in api_page(["cifar_train"])
