"""Secrets at rest survive a rotation of the keys, and nothing else opens them."""

import pytest
from cryptography.fernet import Fernet

from accounts.sealing import Unopenable, reseal, seal, unseal


def test_a_secret_is_sealed_with_the_newest_key_and_opened_by_each(settings):
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.POLICYHUB_ENCRYPTION_KEYS = (old,)
    sealed = seal("whsec_ä")
    assert "whsec" not in sealed

    settings.POLICYHUB_ENCRYPTION_KEYS = (new, old)
    assert unseal(sealed) == "whsec_ä"
    renewed = reseal(sealed)
    settings.POLICYHUB_ENCRYPTION_KEYS = (new,)
    assert unseal(renewed) == "whsec_ä"
    for wrong in (sealed, "", "x", "ü"):
        with pytest.raises(Unopenable):
            unseal(wrong)
