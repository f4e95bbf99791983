"""``ordered=True``: a handler whose retries happen where it runs, because elsewhere they would come out of turn."""

import time
from typing import Any

from celery.exceptions import MaxRetriesExceededError, Retry

from gateway_service.worker.handlers import HandlerTask


class RunAgain(Retry):
    """Ends one attempt of an ordered handler; Celery's automatic retries let it pass, as they do any Retry."""

    def __init__(self, delay_s: float, cause: BaseException | None) -> None:
        super().__init__(exc=cause if isinstance(cause, Exception) else None, when=delay_s)
        self.delay_s = delay_s


class OrderedTask(HandlerTask):
    """A handler of ordered events: while it waits for its next attempt, its guild waits with it."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.request.called_directly:
            return super().__call__(*args, **kwargs)
        while True:
            try:
                return self.run(*args, **kwargs)
            except RunAgain as again:
                time.sleep(again.delay_s)
                self.request.retries += 1

    def retry(
        self,
        *args: Any,
        exc: BaseException | None = None,
        countdown: float | None = None,
        max_retries: int | None = None,
        **options: Any,
    ) -> Any:
        """Make another attempt here after ``countdown`` seconds; new arguments and queues have no meaning."""
        if self.request.called_directly:
            return super().retry(*args, exc=exc, countdown=countdown, max_retries=max_retries, **options)
        limit = self.max_retries if max_retries is None else max_retries
        if limit is not None and self.request.retries >= limit:
            if exc is not None:
                raise exc
            raise MaxRetriesExceededError(f"{self.name} gave up on {self.request.id} after its last retry")
        raise RunAgain(self.default_retry_delay if countdown is None else countdown, exc)
