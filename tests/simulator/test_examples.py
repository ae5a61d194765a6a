from proxy.simulator.examples import example_rows

ROWS = example_rows("2026-03-01T00:00:00+00:00")


def test_every_fictional_route_says_so_in_its_id():
    assert {row["id"].partition("-")[0] for row in ROWS} == {"example"}


def test_no_id_comes_twice():
    assert len({row["id"] for row in ROWS}) == len(ROWS)


def test_every_row_has_what_the_api_documents_as_required():
    required = {
        "id",
        "name",
        "type",
        "provider",
        "provider_display_name",
        "model_id",
        "description",
        "capabilities",
    }
    assert [row["id"] for row in ROWS if not required <= set(row)] == []


def test_one_provider_tells_nothing_about_itself():
    silent = [row for row in ROWS if "compliance" not in row]
    assert {row["provider"] for row in silent} == {"example-ww"}


def test_every_kind_has_a_compliant_route():
    good = {row["type"] for row in ROWS if row["provider"] == "example-us"}
    assert good == {"llm", "image", "embedding"}
