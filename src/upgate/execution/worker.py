"""A worker takes a request as a plain dict, trains the run, and answers with a plain dict."""

import traceback
from functools import lru_cache
from pathlib import Path

from rich.console import Console

from upgate.config.extensions import use_folder
from upgate.errors import UserError
from upgate.execution.run_job import run_job
from upgate.execution.texts import say
from upgate.execution.work import Interrupted, Payload, Work, WorkRequest, WorkResponse
from upgate.run.datasets import Datasets, Fetch
from upgate.run.spec import NUMERICS
from upgate.run.table_cache import TableCache
from upgate.store.store import Busy, Store


def make_work(fetch: Fetch, store: Store, console: Console, pictures: bool = True) -> Work:
    """A function that trains requests with this store, these data and this console."""

    def work(request: WorkRequest) -> WorkResponse:
        job, twin, parent = request.job, request.twin, request.parent
        result = run_job(job, twin, fetch, store, parent, console, pictures, source=request.source)
        return WorkResponse(result=result)

    return work


@lru_cache(maxsize=4)
def open_work(root: str, uri: str, cache: str) -> Work:
    """The work function of this process for one command: store and data are opened once.

    The driver has made the store ready.
    """
    tables = TableCache(cache)
    datasets = Datasets(tables, tables.prepared(Path(root)))
    console = Console(quiet=True, force_terminal=False)
    return make_work(datasets.fetch, Store(Path(root), uri), console)


def serve_request(payload: Payload) -> Payload:
    """Train the run of a request, in a process made for that; every failure becomes a response."""
    return _respond(payload).to_dict()


def _respond(payload: Payload) -> WorkResponse:
    try:
        _check_numerics(payload["job"]["spec"]["numerics"])
        use_folder(payload["job"]["config"].get("config_dir"))
        request = WorkRequest.from_dict(payload)
        return open_work(request.root, request.uri, request.cache)(request)
    except Interrupted:
        return WorkResponse(interrupted=True)
    except Busy as error:
        return WorkResponse(busy=error.args[0])
    except UserError as error:
        return WorkResponse(refusal=error.args[0])
    except Exception:  # the boundary of a process: it must answer
        return WorkResponse(traceback=traceback.format_exc())


def _check_numerics(numerics: int) -> None:
    """Raise UserError where the command runs other code than this worker."""
    if numerics != NUMERICS:
        raise UserError(say("other_numerics", own=NUMERICS, wanted=numerics))
