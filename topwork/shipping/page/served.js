// Ask the server that the page comes from.

const RETRIES = 5; // how often a server that is busy is asked again

const backend = {
  token: "",

  // Return what the server says of its models.
  async open() {
    const models = await this.ask("models", {});
    return models.map((one) => ({ ...one, heat: true }));
  },

  // Return the answer for a picture: an object as "topwork predict --json" prints it, with heat maps.
  async classify(file, model, wantsHeat) {
    const form = new FormData();
    form.append("picture", file, file.name);
    const query = new URLSearchParams({ model: model.model, heat: wantsHeat ? "1" : "0" });
    try {
      const [answer] = await this.ask(`predict?${query}`, { method: "POST", body: form });
      return answer;
    } catch (error) {
      if (error.needsToken) throw error;
      return { path: file.name, label: null, probability: null, probabilities: {}, error: error.message };
    }
  },

  async ask(address, how) {
    const headers = this.token ? { Authorization: `Bearer ${this.token}` } : {};
    for (let left = RETRIES; ; left--) {
      const response = await fetch(address, { ...how, headers }).catch(() => {
        throw new Error("the server does not answer");
      });
      if (response.status === 503 && left > 0) {
        await new Promise((resume) => setTimeout(resume, 1000 * Number(response.headers.get("Retry-After") || 1)));
        continue;
      }
      const found = await response.json().catch(() => ({}));
      if (response.ok) return found;
      const why = found.error || `the server answered with status ${response.status}`;
      throw Object.assign(new Error(why.replace(/\.$/, "")), { needsToken: response.status === 401 });
    }
  },
};
