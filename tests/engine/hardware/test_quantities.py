from __future__ import annotations

from engine.hardware.snapshot import Quantity, Unit


def test_every_quantity_has_a_unit_a_label_and_a_key_like_its_name() -> None:
    for quantity in Quantity:
        assert isinstance(quantity.unit, Unit)
        assert quantity.value == quantity.name.lower()
        assert Quantity(quantity.value) is quantity
    assert len({quantity.label for quantity in Quantity}) == len(Quantity)


def test_rates_are_not_amounts() -> None:
    assert Quantity.DISK_READ.unit is Unit.BYTES_PER_S
    assert Quantity.PROCESS_RSS.unit is Unit.BYTES
