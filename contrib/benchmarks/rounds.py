"""Measures all variants in turn, row by row.

In each round, all variants have new processes on the same target, one of which
measures at a time. Each measures a row before any measures the next one. So
whatever else the machine does, all of a row's variants have their share of it.
"""

import contextlib
import io
import json
import random
import subprocess
import threading

import pyperf

from acceptance_site import processes
from djblets_backport.errors import BackportError

from benchmarks.servers import run_server
from benchmarks.variants import BARE, get_clean_environ


# The most that a worker may take for a row, in seconds.
_TIMEOUT = 120


class Worker:
    """A process that measures one variant on one target.

    This is a context manager, which starts and ends the process.

    Attributes:
        rows (list of str):
            The rows that it can measure.
    """

    def __init__(self, command, log):
        """Initialize the worker, without starting it.

        Args:
            command (list of str):
                What to run.

            log (pathlib.Path):
                Where its output is added.
        """
        self.command = command
        self.log = log

    def __enter__(self):
        with open(self.log, 'ab') as fp:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=fp, encoding='utf-8', env=get_clean_environ(),
                start_new_session=True)

        return self

    def __exit__(self, *args):
        # It's not in the middle of anything that's worth waiting for.
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def read(self):
        """Return the next answer.

        Returns:
            str:
            The answer, in JSON.

        Raises:
            djblets_backport.errors.BackportError:
                The worker failed, or took too long.
        """
        timer = threading.Timer(_TIMEOUT, self.process.kill)
        timer.start()

        try:
            answer = self.process.stdout.readline()
        finally:
            timer.cancel()

        if not answer:
            raise BackportError(
                'A worker failed, or took more than %d seconds: %s\n'
                'The end of %s:%s'
                % (_TIMEOUT, ' '.join(self.command), self.log,
                   processes.get_end(self.log)))

        return answer

    def measure(self, row, loops):
        """Measure a row.

        Args:
            row (str):
                The name of the row.

            loops (int):
                How often to do what's measured, for each value.

        Returns:
            pyperf.Benchmark:
            What was measured.
        """
        try:
            self.process.stdin.write('%s\n' % json.dumps([row, loops]))
            self.process.stdin.flush()
        except BrokenPipeError:
            # There's no answer then, either.
            pass

        return pyperf.Benchmark.loads(self.read())


class Rounds:
    """The rounds of a benchmark.

    Attributes:
        results (dict):
            What was measured: for each environment, and each variant in it,
            the :py:class:`pyperf.Benchmark` for each row. The runs of these
            are those of the rounds, in order.
    """

    def __init__(self, options, commands, log, progress):
        """Initialize the rounds.

        Args:
            options (argparse.Namespace):
                The options from the command line.

            commands (dict):
                For each environment, how to run a worker for each variant.

            log (pathlib.Path):
                Where the output of workers and servers is added.

            progress (djblets_backport.progress.Progress):
                What shows the progress.
        """
        self.options = options
        self.commands = commands
        self.log = log
        self.progress = progress
        self.loops = {}
        self.results = {
            environment: {variant: {} for variant in variants}
            for environment, variants in commands.items()
        }

    def run(self, targets):
        """Measure everything.

        Args:
            targets (dict):
                The targets for each environment.
        """
        for number in range(self.options.rounds + 1):
            for environment in self.commands:
                for target in targets[environment]:
                    with run_server(target, self.log) as location:
                        arguments = ['--worker', '--target', target,
                                     '--location', location,
                                     '--min-time', str(self.options.min_time)]

                        if number:
                            self.progress.step(
                                'Round %d of %d: %s, %s'
                                % (number, self.options.rounds, environment,
                                   target))
                            self.measure(environment, arguments)
                        else:
                            self.progress.step('Calibrating: %s, %s'
                                               % (environment, target))
                            self.calibrate(environment, arguments)

    def calibrate(self, environment, arguments):
        """Find out how often to do what's measured in each row.

        This is done on the bare target. All others do it as often. A single
        value won't do, as it may be long for any other reason.

        Args:
            environment (str):
                The environment.

            arguments (list of str):
                The arguments for the worker.
        """
        command = (self.commands[environment][BARE] + arguments +
                   ['--calibrate-loops', '--warmups', '0', '--values', '4'])

        with Worker(command, self.log) as worker:
            for row in json.loads(worker.read()):
                self.progress.update(row)
                benchmark = worker.measure(row, 0)
                self.loops[environment, row] = benchmark.get_runs()[
                    0].get_loops()

    def measure(self, environment, arguments):
        """Measure a target's rows in an environment.

        Args:
            environment (str):
                The environment.

            arguments (list of str):
                The arguments for the workers.
        """
        workers = {}

        with contextlib.ExitStack() as stack:
            for variant, command in self.commands[environment].items():
                workers[variant] = stack.enter_context(Worker(
                    command + arguments +
                    ['--loops', '1', '--warmups', '1', '--values',
                     str(self.options.values)],
                    self.log))

            rows = [json.loads(worker.read())
                    for worker in workers.values()][0]

            for row in rows:
                self.progress.update(row)
                variants = list(workers)
                random.shuffle(variants)

                for variant in variants:
                    self.add(environment, variant, workers[variant].measure(
                        row, self.loops[environment, row]))

    def add(self, environment, variant, benchmark):
        """Add what was measured.

        Args:
            environment (str):
                The environment.

            variant (str):
                The variant.

            benchmark (pyperf.Benchmark):
                What was measured.
        """
        benchmarks = self.results[environment][variant]
        name = benchmark.get_name()

        if name in benchmarks:
            benchmarks[name].add_runs(benchmark)
        else:
            benchmarks[name] = benchmark

    def write(self, directory):
        """Write files that pyperf itself can read and compare.

        Args:
            directory (pathlib.Path):
                The directory.
        """
        for environment, variants in self.results.items():
            for variant, benchmarks in variants.items():
                output = io.StringIO()
                pyperf.BenchmarkSuite(list(benchmarks.values())).dump(output)
                path = directory / ('%s-%s.json' % (
                    environment, variant.replace(' ', '-')))
                temp_path = path.with_name(path.name + '.tmp')
                temp_path.write_text(output.getvalue(), encoding='utf-8')
                temp_path.replace(path)
