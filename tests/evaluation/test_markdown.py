from dagan.evaluation.markdown import bullets, escaped, table


def test_foreign_text_stays_on_one_line_and_has_no_meaning():
    assert escaped("a|b<c>`d`*e*[f]\n&") == "a\\|b&lt;c&gt;\\`d\\`\\*e\\*\\[f\\] &amp;"
    assert escaped("\x1b[31mred") == " \\[31mred"
    assert escaped("ann__c0.mp4 #3") == "ann__c0.mp4 #3"


def test_a_table_has_a_line_that_aligns_its_columns():
    assert table(["name", "a", "b"], [["x", "1", "2"]]) == [
        "| name | a | b |",
        "| --- | ---: | ---: |",
        "| x | 1 | 2 |",
    ]
    assert table(["name", "a", "text"], [], 1)[1] == "| --- | ---: | --- |"


def test_a_list_has_one_line_for_each_entry():
    assert bullets(["a\nb", "c"]) == ["- a b", "- c"]
