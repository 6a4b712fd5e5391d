# Measurements of compare.sh as a Markdown table: medians over the rounds, and ratios to lab kernel within each round.
# columns: round load lab operations errors p50-us p99-us cpu-client cpu-middle cpu-pods seconds
function median(values, n,    i, j, t) {
    for (i = 2; i <= n; i++)
        for (j = i; j > 1 && values[j] < values[j - 1]; j--) {
            t = values[j]; values[j] = values[j - 1]; values[j - 1] = t
        }
    low = values[1]; high = values[n]
    return n % 2 ? values[(n + 1) / 2] : (values[n / 2] + values[n / 2 + 1]) / 2
}
function over_rounds(what, load, lab,    r, n, values) {
    n = 0
    for (r = 1; r <= rounds; r++)
        if ((what, load, lab, r) in seen) values[++n] = seen[what, load, lab, r]
    return n ? median(values, n) : 0
}
function ratio(load, lab, base_load, base,    r, n, values) {
    n = 0
    for (r = 1; r <= rounds; r++)
        if (seen["cpu", load, lab, r] > 0 && seen["cpu", base_load, base, r] > 0)
            values[++n] = seen["cpu", load, lab, r] / seen["cpu", base_load, base, r]
    return n ? median(values, n) : 0
}
function each(load, value) {
    return load ~ /^[0-9]+m$/ ? sprintf("%.2f ms/MiB", value / 1000) : sprintf("%.1f us", value)
}
$4 > 0 {
    if (!($2 in load_seen)) { load_seen[$2] = 1; loads[++load_count] = $2 }
    if (!($3 in lab_seen)) { lab_seen[$3] = 1; labs[++lab_count] = $3 }
    if ($1 > rounds) rounds = $1
    seen["cpu", $2, $3, $1] = ($8 + $9 + $10) * 1e6 / $4
    seen["middle", $2, $3, $1] = $9 * 1e6 / $4
    seen["rate", $2, $3, $1] = $4 / $11
    seen["p50", $2, $3, $1] = $6; seen["p99", $2, $3, $1] = $7
    errors[$2, $3] += $5
}
END {
    print "| load | lab | CPU each | of it middle | per second | p50 / p99 us | errors | ratio | range |"
    print "|---|---|---|---|---|---|---|---|---|"
    for (i = 1; i <= load_count; i++)
        for (j = 1; j <= lab_count; j++) {
            load = loads[i]; lab = labs[j]
            p50 = over_rounds("p50", load, lab)
            latency = p50 ? sprintf("%.0f / %.0f", p50, over_rounds("p99", load, lab)) : "–"
            printf("| %s | %s | %s | %s | %.0f | %s | %d |", load, lab, each(load, over_rounds("cpu", load, lab)),
                each(load, over_rounds("middle", load, lab)), over_rounds("rate", load, lab), latency, errors[load, lab])
            if (lab == "kernel" || !("kernel" in lab_seen)) print " 1 | |"
            else {
                m = ratio(load, lab, load, "kernel")
                printf " %.2f | %.2f–%.2f |\n", m, low, high
            }
        }
    if (("open64" in load_seen) && ("open10k" in load_seen)) {
        printf "\n10,000 open connections against 64, CPU of a request:"
        for (j = 1; j <= lab_count; j++) {
            m = ratio("open10k", labs[j], "open64", labs[j])
            printf("%s %s %.2f (%.2f–%.2f)", (j > 1 ? "," : ""), labs[j], m, low, high)
        }
        print ""
    }
}
