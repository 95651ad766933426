"""Every key name in Redis. Keys of one run share the hash tag `{run id}`.

    <ns>:run:{R}              hash   the run, and its root frame
    <ns>:run:{R}:f:<path>     hash   another frame (`docs[3]`) or a lane (`docs#0`)
    <ns>:run:{R}:e:<path>     hash   a fan-out: counters and the items, in pages
    <ns>:run:{R}:e:<path>:again / :idle   list   items to do again / lanes without work
    <ns>:run:{R}:res          hash   step path -> record
    <ns>:run:{R}:log          list   journal, for people
    <ns>:run:{R}:keys         set    the frame and fan-out keys that exist now
    <ns>:run:{R}:kids         set    paths of the frames that wait for a run that they called
    <ns>:plan:<version>       string the plan
    <ns>:ready                zset   frames that may be claimed (member `R|path`), by time: the truth
    <ns>:timers               zset   parked frames, by due time
    <ns>:open / :runs / :dead zset   unfinished runs / all runs / failed runs, by time
    <ns>:workers              zset   worker id -> end of its lease
    <ns>:worker:<id>          set    frames that the worker has claimed
    <ns>:workerinfo           hash   worker id -> host, pid, start (JSON)
    <ns>:q:<queue>[.msgs]     Dramatiq's queue
    <ns>:bell:<queue>         list   the doorbell: what an idle consumer blocks on
    <ns>:limit:<name>         string state of a rate limit
    <ns>:gate:<G>[:q]         zset   runs at work under a `concurrency`, by admission / waiting, by arrival
    <ns>:crowded              set    gates in which runs wait
    <ns>:held:<limit>         hash   places of `at_once` in use: token -> how many there were when it was taken
    <ns>:line:<limit>         zset   tokens that wait for a place, the first in the line first
    <ns>:places:<id>          hash   token -> limit: what a worker holds or waits for
    <ns>:called:<id>          list   tokens of a worker that got a place after waiting: what it blocks on
    <ns>:cache:<digest>       hash   a result for equal calls: v record, t when it was made
    <ns>:cancels              zset   runs cancelled lately, and frames (`R|path.|newest epoch`), so that workers drop them at once
    <ns>:event:<id>           hash   an event: name data time at n (number)
    <ns>:events               zset   event ids, by time
    <ns>:ev:<name>[|<path>=<key>]           zset   events of a name, of those with that value at that path, by time
    <ns>:ev:…:waiting         set    frames that wait for an event of the index
    <ns>:paths:<name>         set    paths (JSON) by which events of the name are looked for
    <ns>:run:{R}:taken        hash   event id -> path of the wait that took it
    <ns>:evseq                string number of the newest event
    <ns>:clock                string the time, ms, of a workflow test; nowhere else
    <ns>:pulse, :grace, :seq  string reconciler's last beat, no lease expires before, counter (messages, lines)

Fields of a run: st status, wf workflow, v version, in inputs, t0 created, t1 started, t2 finished, out outputs, err error,
g generation (raised by retry), n frames that are ready or claimed, ec claims so far (epochs come from it),
cost tin tout calls (usage), meta (JSON), E0 environment.
Of a run with ties, besides: L it has some, pr the frame that called it (`R|path`), G its gate, gl the limit that it brought,
fin it has a `finally`, cl that runs because it was cancelled, ca its `cancel_on` is armed,
T `throttle` (interval in us, burst, name), ta when it was let in, ra when it was let in again after a retry, rt how long it is
kept (ms).
Fields of a frame: e epoch, q sequence of its last checkpoint, c cursor, t time of it, w worker, d deaths of workers in it,
W indexes of events that it waits at, z it waits to work alone (after two deaths), m start mark of a step that is not repeatable,
A actor, k the run that it called and waits for.
Fields of a fan-out: n total, x next to hand out, r running, k finished, b failed, a failures allowed, c concurrency,
s stopped, g generation, P parent frame, Q the parent's sequence when it fanned out, F began anew (retry of a `do`),
L lanes, z page size, t when it began, S what its items see of the handler they stand in, J the first success decides,
p0 p1 ... pages of items.
Fields of a lane besides: a<index> for each item it has claimed: workers that died in it, and `z`.
"""

from __future__ import annotations

QUEUE = "default"
CANCEL_FRAME = "~cancel"
"""Path of the frame that waits for the events of `cancel_on`."""


class Keys:
    """Key names under one namespace."""

    def __init__(self, namespace: str) -> None:
        self.ns = namespace
        self._run = namespace + ":run:{"

    def run(self, rid: str) -> str:
        return self._run + rid + "}"

    def frame(self, rid: str, path: str) -> str:
        """The root frame lives in the run's own hash."""
        return f"{self._run}{rid}}}:f:{path}" if path else f"{self._run}{rid}}}"

    def fan(self, rid: str, path: str) -> str:
        return f"{self._run}{rid}}}:e:{path}"

    def results(self, rid: str) -> str:
        return f"{self._run}{rid}}}:res"

    def log(self, rid: str) -> str:
        return f"{self._run}{rid}}}:log"

    def plan(self, version: str) -> str:
        return f"{self.ns}:plan:{version}"

    def queue(self, queue: str = QUEUE) -> str:
        return f"{self.ns}:q:{queue}"

    def bell(self, queue: str = QUEUE) -> str:
        return f"{self.ns}:bell:{queue}"

    def worker(self, worker: str) -> str:
        return f"{self.ns}:worker:{worker}"

    def event(self, id: str) -> str:
        return f"{self.ns}:event:{id}"

    def event_paths(self, name: str) -> str:
        return f"{self.ns}:paths:{name}"

    def limit(self, name: str) -> str:
        return f"{self.ns}:limit:{name}"

    def gate(self, name: str) -> str:
        """The runs at work; those that wait are under the same key with `:q` behind."""
        return f"{self.ns}:gate:{name}"

    def held(self, limit: str) -> str:
        return f"{self.ns}:held:{limit}"

    def line(self, limit: str) -> str:
        return f"{self.ns}:line:{limit}"

    def called(self, worker: str) -> str:
        return f"{self.ns}:called:{worker}"

    def cached(self, digest: str) -> str:
        return f"{self.ns}:cache:{digest}"

    def named(self, name: str) -> str:
        """One of the store-wide keys: ready, timers, open, runs, dead, workers, workerinfo, cancels, pulse, crowded."""
        return f"{self.ns}:{name}"


def member(rid: str, path: str) -> str:
    """A frame's name in the store-wide indexes."""
    return f"{rid}|{path}"


def split_member(text: str) -> tuple[str, str]:
    """(run id, path) of a name made by `member`."""
    rid, _, path = text.partition("|")
    return rid, path
