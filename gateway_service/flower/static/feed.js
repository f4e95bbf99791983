// What changed, asked for once a second: one answer holds the rows that changed since the last one.

const SIGN_IN_STATUSES = [401, 403];
const EVERY_MS = 1000;
const HIDDEN_EVERY_MS = 10000;

export class Feed {
  constructor(base, onNews, onSilence, onSignedOut) {
    this.base = base;
    this.onNews = onNews;
    this.onSilence = onSilence;
    this.onSignedOut = onSignedOut;
    this.version = 0;
    this.epoch = "";
    document.addEventListener("visibilitychange", () => document.hidden || this.soon());
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), 0);
  }

  async ask() {
    clearTimeout(this.timer);
    try {
      // A sign-in is mostly on another site, where a script may not follow: a redirect that is followed looks like silence.
      const options = { credentials: "same-origin", redirect: "manual" };
      const response = await fetch(`${this.base}/news?since=${this.version}&epoch=${this.epoch}`, options);
      if (response.type === "opaqueredirect" || SIGN_IN_STATUSES.includes(response.status)) this.onSignedOut();
      else if (response.ok) this.take(await response.json());
      else this.onSilence();
    } catch {
      this.onSilence();
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), document.hidden ? HIDDEN_EVERY_MS : EVERY_MS);
  }

  take(news) {
    this.version = news.version;
    this.epoch = news.epoch;
    this.onNews(news);
  }
}
