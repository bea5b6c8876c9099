"""What is written by hand for speed is what Django would write."""

import re

import pytest
from django import forms
from django.forms.renderers import DjangoTemplates
from django.utils import translation
from django.utils.formats import number_format

from dashboard import amounts, policy_fields
from dashboard.rendering import QuickChoices
from dashboard.usage_series import Named
from policies.money import MICROS

CHOICES = [
    ("", "—"),
    ("a&b", "<b>Bold</b> & \"quoted\" 'twice'"),
    (3, "three"),
    ("Group", [("x", "X"), ("y", "Y<")]),
]


class Listed(forms.Form):
    one = forms.ChoiceField(choices=CHOICES, required=False, help_text="Help")
    many = forms.MultipleChoiceField(choices=CHOICES)
    radio = forms.ChoiceField(choices=CHOICES[:3], widget=forms.RadioSelect)
    text = forms.CharField(widget=forms.Textarea(attrs={"rows": 2, "disabled": True}))


def written(renderer, data):
    form = Listed(data, renderer=renderer)
    return [re.sub(r"\s*\n\s*", "", str(field)) for field in form]


@pytest.mark.parametrize(
    "data",
    [None, {}, {"one": "a&b", "many": ["3", "y"], "radio": "3"}, {"one": "gone"}],
)
def test_a_list_is_what_django_writes(data):
    assert written(QuickChoices(), data) == written(DjangoTemplates(), data)


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("number", [0, 7, 999, 1000, 1_234_567, 2**53, -4_321])
def test_a_number_is_what_django_writes(language, number):
    with translation.override(language):
        assert amounts.number_text(number) == number_format(number, force_grouping=True)


def test_money_is_written_with_its_point():
    with translation.override("de"):
        assert amounts.dollars(1_234 * MICROS + 500_000) == "1.234,50 $"
    with translation.override("en"):
        assert amounts.dollars(125) == "$0.000125"


def test_names_cannot_break_out_of_a_filter():
    from dashboard.templatetags.usage_words import cells, options

    strange = '"><script>alert(1)</script>'
    shown = options([Named("bot", None, strange, strange)], strange)
    assert "<script" not in shown
    assert shown.count(" selected") == 1
    assert "<script" not in cells([[strange, strange, "1"]])


@pytest.mark.parametrize(
    ("language", "metric", "typed", "read"),
    [
        ("en", "tokens", "1,234,567", 1_234_567),
        ("en", "cost", "$1,250.50", "1250.50"),
        ("en", "cost", "12.5", "12.5"),
        ("de", "tokens", "1.234.567", 1_234_567),
        ("de", "tokens", "1,000", 1_000),
        ("de", "tokens", "5000", 5_000),
        ("de", "tokens", "1,5", "1,5"),
        ("de", "cost", "12,50", "12.50"),
        ("de", "cost", "1.250,5", "1250.5"),
        ("de", "cost", "12.50 $", "12.50"),
        ("de", "cost", "1,250.50", "1250.50"),
        ("de", "cost", "zwölf", "zwölf"),
    ],
)
def test_an_amount_is_read_as_the_reader_writes_it(language, metric, typed, read):
    with translation.override(language):
        assert policy_fields.amount(metric, typed) == read


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize(
    ("metric", "value"), [("tokens", 7 * 10**12), ("cost", "12.5")]
)
def test_what_a_form_shows_it_reads_again(language, metric, value):
    with translation.override(language):
        shown = policy_fields.amount_shown(metric, value)
        assert policy_fields.amount(metric, shown) == value
