"""The form of the first steps."""

from django import forms
from django.utils.translation import gettext_lazy as _


class FirstBotForm(forms.Form):
    """The first bot: a name is enough."""

    name = forms.CharField(
        label=_("Name of the bot"),
        max_length=200,
        help_text=_("Whatever calls a model on your behalf, such as support-bot."),
    )
