from agent_sdk.core.findings import Finding, render_findings


def test_a_finding_is_one_line_that_says_what_where_and_how_to_mend_it() -> None:
    full = Finding("wrong_type", "$.steps[0].args.limit", "the value does not fit", "give a number", "integer", "'5'")
    assert render_findings([full, Finding("cycle", "$", "a circle")]).splitlines() == [
        "- $.steps[0].args.limit: the value does not fit [wrong_type]; expected integer; found '5'; hint: give a number",
        "- $: a circle [cycle]",
    ]
