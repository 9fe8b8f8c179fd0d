"""What a running study costs and pays. Reads only; paying is `webapp.payouts`."""

import statistics
from dataclasses import dataclass

from sqlalchemy import func, select

from webapp.hosting import HostedStudy
from webapp.tables import MoneyActRow, PlaceRow, SessionRow


@dataclass(frozen=True)
class Costs:
    """Money in cents of the study's currency, the panel's fee included where it says so."""

    currency: str
    reward_cents: int
    """For one finished session, without fee."""
    fee_share: float
    so_far_cents: float
    """Finished sessions so far, with fee and with what was paid on top."""
    extra_cents: int
    """Bonuses and screen-outs that were paid, without fee."""
    in_the_end_cents: float
    """All places finished, with fee and with what was paid on top so far."""
    median_minutes: float | None
    """Of the finished sessions, from the first page to the last answer."""
    cents_per_hour: float | None
    """The reward over the median duration."""
    minimum_cents_per_hour: int

    @property
    def too_little(self) -> bool:
        """Whether people earn less per hour than the study set itself."""
        return self.cents_per_hour is not None and self.cents_per_hour < self.minimum_cents_per_hour


def costs(hosted: HostedStudy) -> Costs:
    """The costs so far and in the end."""
    settings = hosted.study.recruitment
    with hosted.database.read() as db:
        times = db.execute(
            select(SessionRow.started_at, SessionRow.finished_at).where(
                SessionRow.study == hosted.study.id,
                SessionRow.data == hosted.data,
                SessionRow.state == "finished",
            )
        ).all()
        places = db.execute(
            select(func.count())
            .select_from(PlaceRow)
            .where(PlaceRow.study == hosted.study.id, PlaceRow.data == hosted.data)
        ).scalar_one()
        extra = db.execute(
            select(func.coalesce(func.sum(MoneyActRow.amount_cents), 0)).where(
                MoneyActRow.study == hosted.study.id,
                MoneyActRow.data == hosted.data,
                MoneyActRow.act.in_(("bonus", "screen_out")),
                MoneyActRow.state == "done",
            )
        ).scalar_one()
    minutes = [(end - start) / 60_000 for start, end in times if end is not None]
    median = statistics.median(minutes) if minutes else None
    with_fee = 1 + settings.fee_share
    return Costs(
        currency=settings.currency,
        reward_cents=settings.reward_cents,
        fee_share=settings.fee_share,
        so_far_cents=(len(times) * settings.reward_cents + extra) * with_fee,
        extra_cents=extra,
        in_the_end_cents=(places * settings.reward_cents + extra) * with_fee,
        median_minutes=median,
        cents_per_hour=settings.reward_cents * 60 / median if median else None,
        minimum_cents_per_hour=settings.minimum_cents_per_hour,
    )
