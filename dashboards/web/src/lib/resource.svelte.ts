// Something read from the server for a page: its data, whether it is being read, and what
// went wrong. An answer that comes late never overwrites the answer to a newer question, but
// where the newer one is still out, the older answer is shown: a slow server delays, it does
// not starve.

import { ApiError } from './api';

export class Resource<T> {
  data = $state.raw<T | null>(null);
  error = $state.raw<ApiError | null>(null);
  loading = $state(false);
  private question = 0;
  private answered = 0;

  /** Reads; keeps showing what was there until the answer comes. */
  async read(fetch: () => Promise<T>): Promise<void> {
    const question = ++this.question;
    this.loading = true;
    try {
      const data = await fetch();
      if (question <= this.answered) return;
      this.answered = question;
      this.data = data;
      this.error = null;
    } catch (error) {
      if (question <= this.answered) return;
      this.answered = question;
      this.error = error instanceof ApiError ? error : new ApiError(0, String(error), null);
    } finally {
      if (question === this.question) this.loading = false;
    }
  }
}
