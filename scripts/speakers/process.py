"""A router's daemon as a process of ours: started in a directory of its own, told apart from all others by its pid."""
import os
import subprocess
import time


class Daemon:
    def __init__(self, argv, log, env=None):
        self._argv, self._log, self._env = [str(a) for a in argv], log, env
        self._process = None

    def start(self, answers, seconds=20):
        """Waits until `answers()` is true; what it raises by a command that fails counts as no."""
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(self._argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._env,
                                             start_new_session=True)
        deadline = time.monotonic() + seconds
        while True:
            if self._process.poll() is not None:
                raise RuntimeError(f"{self.name} ended at its start, see {self._log}")
            try:
                if answers():
                    return
            except subprocess.SubprocessError:
                pass
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not come up within {seconds} s, see {self._log}")
            time.sleep(0.1)

    @property
    def name(self):
        return os.path.basename(self._argv[0])

    def alive(self):
        return self._process is not None and self._process.poll() is None

    def stop(self):
        """As an operator would; with SIGKILL when it does not end."""
        if not self.alive():
            return
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self):
        if self.alive():
            self._process.kill()
            self._process.wait()
