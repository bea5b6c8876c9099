"""Every text of a prompt and an answer is found, and nothing that is no text."""

from gateway.texts import at_path, of_answer, of_prompt


def test_texts_of_a_prompt():
    body = {
        "model": "gpt-x",
        "user": "u-1",
        "messages": [
            {"role": "system", "content": "one"},
            {
                "role": "user",
                "name": "bob",
                "content": [
                    {"type": "text", "text": "two"},
                    {"type": "image_url", "image_url": {"url": "data:image/png,x"}},
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "find", "arguments": "three"},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "four"},
        ],
        "tools": [{"type": "function", "function": {"description": "five"}}],
    }
    found = list(of_prompt(body))
    assert [each.value for each in found] == ["one", "two", "three", "four", "five"]
    assert [each.value for each in found if each.source] == ["three"]
    found[0].put("ONE")
    assert body["messages"][0]["content"] == "ONE"


def test_texts_of_embeddings():
    assert [each.value for each in of_prompt({"input": "a"})] == ["a"]
    assert [each.value for each in of_prompt({"input": ["a", "b"]})] == ["a", "b"]
    assert list(of_prompt({"input": [1, 2]})) == []


def test_texts_of_an_answer_and_their_places():
    delta = {
        "role": "assistant",
        "content": "a",
        "refusal": None,
        "audio": {"id": "x", "transcript": "b"},
        "tool_calls": [
            {"index": 3, "id": "c", "function": {"name": "f", "arguments": "{"}}
        ],
    }
    found = {each.path: each.value for each in of_answer(delta)}
    assert found == {
        ("content",): "a",
        ("audio", "transcript"): "b",
        ("tool_calls", 3, "function", "arguments"): "{",
    }
    for path, value in found.items():
        [again] = of_answer(at_path(path, value))
        assert (again.path, again.value) == (path, value)
