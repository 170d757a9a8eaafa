"""An agent whose answer is no text but data: a validated object, with its type known to your editor.

OPENAI_API_KEY=...  python examples/structured_output.py < invoice.txt
"""

import sys
from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, Field

from agent_sdk import Agent


class Item(BaseModel):
    """One line of the invoice."""

    what: str
    quantity: Annotated[int, Field(ge=1)]
    price: Decimal


class Invoice(BaseModel):
    """What an invoice says."""

    number: str
    issued: date
    items: list[Item]

    @property
    def total(self) -> Decimal:
        return sum((item.quantity * item.price for item in self.items), Decimal())


TEXT = """
Invoice R-2044, 3 March 2026
2 office chairs at 149.90 each, and a desk lamp for 39.00
"""

agent = Agent(
    name="clerk",
    model="openai:gpt-5-mini",
    instructions="Read the invoice that the user gives. Copy what stands there; invent nothing.",
    output=Invoice,
)

if __name__ == "__main__":
    invoice = agent.run_sync(TEXT if sys.stdin.isatty() else sys.stdin.read() or TEXT)
    print(f"{invoice.number} of {invoice.issued:%d %B %Y}")
    for item in invoice.items:
        print(f"{item.quantity:>4} x {item.what:<20} {item.price:>8}")
    print(f"total {invoice.total:>28}")
