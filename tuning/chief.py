"""One oracle for workers in other processes and on other machines, over KerasTuner's own protocol.

Values, reasons and who speaks travel as metadata of its calls: its messages round numbers to 32 bits and have
no field for the others. A worker that only speaks KerasTuner's protocol is served, too; but whether it is
alive, nobody sees.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent import futures
from typing import Any

import grpc
from keras_tuner.src import protos  # KerasTuner's protocol has no public name
from keras_tuner.src.distribute.oracle_chief import OracleServicer

from tuning.asked import IP, PORT
from tuning.errors import BadInput

_BEAT = 5.0  # seconds between two words of a worker at least
_SILENT = 120.0  # seconds after which a worker that used to tell of its trial counts as lost
_PATIENCE = 60.0  # seconds that a worker waits for its chief
_AT_FIRST = 300.0  # and before it was ever answered: a chief tries a training out before it listens
_KEY = "keras-cnns-bin"
_NOT_YOURS = grpc.StatusCode.FAILED_PRECONDITION


class _Servicer(OracleServicer):
    """KerasTuner's servicer, exact and told of every worker's last word."""

    def __init__(self, oracle: Any) -> None:
        super().__init__(oracle)
        self.heard: dict[str, float] = {}  # trial → when its worker spoke of it last

    def CreateTrial(self, request: Any, context: Any) -> Any:
        trial = self.oracle.create_trial(request.tuner_id)
        if trial.status == "RUNNING":
            if _told(context) is not None:  # it will tell of its trial every few seconds
                self.heard[trial.trial_id] = time.monotonic()
            self.oracle.begun(trial.trial_id, request.tuner_id)
        context.set_trailing_metadata(((_KEY, _packed(trial.hyperparameters.values)),))
        return protos.get_service().CreateTrialResponse(trial=trial.to_proto())

    def UpdateTrial(self, request: Any, context: Any) -> Any:
        self._hear(request.trial_id, context)
        if self.oracle.objective.name not in request.metrics:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"without {self.oracle.objective.name}")
        trial = self.oracle.update_trial(request.trial_id, dict(request.metrics), step=request.step)
        return protos.get_service().UpdateTrialResponse(trial=trial.to_proto())

    def GetTrial(self, request: Any, context: Any) -> Any:
        self._hear(request.trial_id, context)
        return super().GetTrial(request, context)

    def EndTrial(self, request: Any, context: Any) -> Any:
        self._hear(request.trial.trial_id, context)
        facts = _told(context)
        if facts is None:
            return super().EndTrial(request, context)
        self.heard.pop(request.trial.trial_id, None)
        self.oracle.ended(request.trial.trial_id, facts.pop("status"), facts)
        return protos.get_service().EndTrialResponse()

    def _hear(self, trial: str, context: Any) -> None:
        """Note that a trial's worker is alive; the word of one that has lost its trial does not count."""
        worker = (_told(context) or {}).get("worker")
        if self.oracle.closed or not self.oracle.at_work(trial, worker):
            context.abort(_NOT_YOURS, f"the trial {trial!r} is not under way, or another worker's")
        if trial in self.heard:
            self.heard[trial] = time.monotonic()


def _told(context: Any) -> dict[str, Any] | None:
    """What one of our workers says beside the protocol's own words."""
    told = dict(context.invocation_metadata()).get(_KEY)
    return None if told is None else json.loads(told)


@contextlib.contextmanager
def serving(oracle: Any, address: str) -> Iterator[int]:
    """Serve an oracle while inside; trials of workers that fell silent are returned.

    Args:
        oracle: One of `tuning.engines`.
        address: "IP:PORT"; port 0 takes a free one.

    Yields:
        The port.

    Raises:
        BadInput: The address cannot be had.
    """
    servicer = _Servicer(oracle)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), options=[("grpc.so_reuseport", 0)])
    protos.get_service_grpc().add_OracleServicer_to_server(servicer, server)
    try:
        port = server.add_insecure_port(address)
    except RuntimeError:
        port = 0
    if not port:
        raise BadInput(f"{IP}, {PORT}: {address} cannot be listened to; is another chief there?")
    server.start()
    over = threading.Event()
    threading.Thread(target=_watch, args=(oracle, servicer, over), daemon=True).start()
    try:
        yield port
    finally:
        over.set()
        server.stop(1).wait()


def _watch(oracle: Any, servicer: _Servicer, over: threading.Event) -> None:
    while not over.wait(1):
        late = time.monotonic() - _SILENT
        for worker, trial in list(oracle.ongoing_trials.items()):
            heard = servicer.heard.get(trial.trial_id)
            if heard is not None and heard < late:
                servicer.heard.pop(trial.trial_id, None)
                oracle.give_back(worker)


class Far:
    """The oracle of a chief elsewhere, as `tuning.work.Desk`.

    Args:
        address: "IP:PORT".

    Its methods raise ConnectionError where the chief does not answer for a minute, five at first. What is
    told of a trial that was given to another worker meanwhile is passed over.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._stub = protos.get_service_grpc().OracleStub(grpc.insecure_channel(address))
        self._beaten = 0.0
        self._answered = False
        self._worker = ""
        self._lost = False

    def take(self, worker: str) -> tuple[str, str, dict[str, Any]]:
        """As in `Desk`."""
        request = protos.get_service().CreateTrialRequest(tuner_id=worker)
        self._worker, self._lost = worker, False
        with self._reached():
            answer, call = self._stub.CreateTrial.with_call(
                request, wait_for_ready=True, timeout=_PATIENCE if self._answered else _AT_FIRST,
                metadata=self._said(),
            )  # fmt: skip
        self._answered = True
        trial = answer.trial
        told = dict(call.trailing_metadata()).get(_KEY, b"{}")
        status = protos.get_proto().TrialStatus.Name(trial.status)
        return status, trial.trial_id, json.loads(told)

    def tell(self, trial: str, figures: Mapping[str, float], epoch: int) -> None:
        """As in `Desk`."""
        request = protos.get_service().UpdateTrialRequest(trial_id=trial, metrics=figures, step=epoch)
        with self._reached():
            self._stub.UpdateTrial(request, wait_for_ready=True, timeout=_PATIENCE, metadata=self._said())

    def beat(self, trial: str) -> bool:
        """As in `Desk`; asks every few seconds."""
        if time.monotonic() - self._beaten >= _BEAT:
            self._beaten = time.monotonic()
            request = protos.get_service().GetTrialRequest(trial_id=trial)
            with self._reached():
                self._stub.GetTrial(request, wait_for_ready=True, timeout=_PATIENCE, metadata=self._said())
        return not self._lost

    def end(self, trial: str, status: str, facts: Mapping[str, Any]) -> None:
        """As in `Desk`."""
        request = protos.get_service().EndTrialRequest(trial=protos.get_proto().Trial(trial_id=trial))
        said = self._said(**facts, status=status)
        with self._reached():
            self._stub.EndTrial(request, wait_for_ready=True, timeout=_PATIENCE, metadata=said)

    def _said(self, **facts: Any) -> tuple[tuple[str, bytes], ...]:
        return ((_KEY, _packed({**facts, "worker": self._worker})),)

    @contextlib.contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as error:
            if error.code() == _NOT_YOURS:
                self._lost = True
                return
            raise ConnectionError(
                f"the chief at {self._address} does not answer ({error.code().name})"
            ) from None


def _packed(values: Mapping[str, Any]) -> bytes:
    return json.dumps(dict(values)).encode()
