// From the trees' margins to p50, low and high in plain JavaScript: Calibration::answer of latency-core/src/prediction.rs.
// p90 and p99 are left out, which is in this code's favour: they take the distributions of distribution.rs.

const LIGHT_KM_PER_MS = 299.792458

/** From the schema: `answer(margins, at, features, from, km)`, of the row whose margins and features start there. */
export function answerPlan({ target: { base }, outputs }) {
  const [low, p50, high] = ['low_ms', 'p50_ms', 'high_ms'].map((name) => outputs.findIndex((output) => output.name === name))
  const offsets = outputs.map(offset)

  return function answer(margins, at, features, from, km) {
    const floor = (3 * km) / LIGHT_KM_PER_MS
    const guess = Math.log(features[from + base.feature] + base.add)
    const lnKm = Math.log(Math.max(km, 1))
    const a = margins[at + low] + offsets[low](lnKm)
    const b = margins[at + p50] + offsets[p50](lnKm)
    const c = margins[at + high] + offsets[high](lnKm)
    const least = Math.min(a, b, c)
    const most = Math.max(a, b, c)
    const middle = Math.max(Math.min(a, b), Math.min(Math.max(a, b), c))
    return {
      p50_ms: Math.max(Math.exp(guess + middle), floor),
      low_ms: Math.max(Math.exp(guess + least), floor),
      high_ms: Math.max(Math.exp(guess + most), floor),
    }
  }
}

/** What is added to an output, by the logarithm of the distance: linear between knots. */
function offset({ offset = 0, offset_by_distance: knots = [] }) {
  if (knots.length === 0) return () => offset
  const at = Float64Array.from(knots, ([km]) => Math.log(km))
  const added = Float64Array.from(knots, ([, value]) => value + offset)
  const last = at.length - 1
  return (lnKm) => {
    if (lnKm <= at[0]) return added[0]
    if (lnKm >= at[last]) return added[last]
    let next = 1
    while (at[next] <= lnKm) next++
    return added[next - 1] + ((lnKm - at[next - 1]) / (at[next] - at[next - 1])) * (added[next] - added[next - 1])
  }
}
