// Short messages about what just happened, read out politely and gone by themselves.

class Tell {
  text = $state('');
  bad = $state(false);
  private timer: ReturnType<typeof setTimeout> | undefined;

  say(text: string, bad = false): void {
    this.text = text;
    this.bad = bad;
    clearTimeout(this.timer);
    // Failures stay until something else happens: they ask for an action.
    if (!bad) this.timer = setTimeout(() => (this.text = ''), 5_000);
  }
}

export const tell = new Tell();
