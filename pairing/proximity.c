/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/proximity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ACCEPT_MARGIN_DB   1.0 /* "within one metre" down to so much below its level */
#define APPROACH_WINDOW_MS 1500
#define APPROACH_SPAN_MS   300
#define APPROACH_SAMPLES   4
#define APPROACH_SLOW_MS   6000 /* for so many: Linux advertises every 1.28 s by itself */
#define UNEVEN             4    /* times the shortest gap between two of them */
#define MEASURE_SAMPLES    10
#define DBM_MIN            (-127)
#define DBM_MAX            20
#define REF_MIN_DBM        (-90.0) /* a stated level outside is not believed */
#define REF_MAX_DBM        (-20.0)
#define PLACE_SD_DB        3.0 /* what the median of one place is off by in a real room */

struct sample {
    sh_ms at;
    int dbm;
};

struct sh_proximity {
    enum sh_proximity_use use;
    double ref1m_dbm;
    struct sample ring[SH_PROXIMITY_WINDOW];
    size_t next, kept;
    unsigned total;
    sh_ms first, last;
    sh_ms run_first; /* since then no gap was longer than the window of an approach */
    bool decided;    /* measure only: `estimate` is final */
    struct sh_proximity_estimate estimate;
};

struct sh_proximity *sh_proximity_new(enum sh_proximity_use use, double ref1m_dbm)
{
    struct sh_proximity *proximity = calloc(1, sizeof(*proximity));
    if (!proximity)
        return NULL;
    proximity->use = use;
    /* Written so that NAN fails it too. */
    bool believed = ref1m_dbm >= REF_MIN_DBM && ref1m_dbm <= REF_MAX_DBM;
    proximity->ref1m_dbm = believed ? ref1m_dbm : SH_DEFAULT_1M_DBM;
    return proximity;
}

void sh_proximity_free(struct sh_proximity *proximity)
{
    free(proximity);
}

void sh_proximity_add(struct sh_proximity *proximity, sh_ms now, int dbm)
{
    if (dbm < DBM_MIN || dbm > DBM_MAX || proximity->decided)
        return;
    if (proximity->total > 0 && now < proximity->last)
        return;
    /* What comes after the time of the measurement is not part of it. */
    if (proximity->use == SH_PROXIMITY_MEASURE && proximity->total >= MEASURE_SAMPLES &&
        now - proximity->first > SH_MEASURE_MS)
        return;
    if (proximity->total == 0)
        proximity->first = now;
    if (proximity->total == 0 || now - proximity->last > APPROACH_WINDOW_MS)
        proximity->run_first = now;
    proximity->last = now;
    proximity->ring[proximity->next] = (struct sample){.at = now, .dbm = dbm};
    proximity->next = (proximity->next + 1) % SH_PROXIMITY_WINDOW;
    if (proximity->kept < SH_PROXIMITY_WINDOW)
        proximity->kept++;
    if (proximity->total < UINT32_MAX)
        proximity->total++;
}

static int compare_int(const void *a, const void *b)
{
    const int *left = a;
    const int *right = b;
    return (*left > *right) - (*left < *right);
}

struct window {
    int dbm[SH_PROXIMITY_WINDOW]; /* sorted */
    size_t n;
    sh_ms oldest;
    double median, variance;
};

static const struct sample *latest(const struct sh_proximity *proximity, size_t back)
{
    return &proximity
                ->ring[(proximity->next + SH_PROXIMITY_WINDOW - 1 - back) % SH_PROXIMITY_WINDOW];
}

/* How many of the latest samples count however old they are: those of a sender that is heard seldom but
 * evenly, as long as it is not missed twice. */
static size_t slow_ones(const struct sh_proximity *proximity, sh_ms now)
{
    size_t n = SH_MIN(proximity->kept, (size_t)APPROACH_SAMPLES);
    sh_ms least = SH_NEVER, most = 0;
    for (size_t i = 1; i < n; i++) {
        sh_ms gap = latest(proximity, i - 1)->at - latest(proximity, i)->at;
        least = SH_MIN(least, gap);
        most = SH_MAX(most, gap);
    }
    if (n < 2 || most / UNEVEN > least || now - latest(proximity, n - 1)->at > APPROACH_SLOW_MS)
        return 0;
    return now - proximity->last <= SH_MAX(2 * most, (sh_ms)APPROACH_WINDOW_MS) ? n : 0;
}

/* The samples that count at `now`: all of a measurement, the latest of an approach. */
static void window_fill(const struct sh_proximity *proximity, sh_ms now, struct window *window)
{
    double sum = 0.0;
    double squares = 0.0;
    bool approach = proximity->use == SH_PROXIMITY_APPROACH;
    size_t slow = approach ? slow_ones(proximity, now) : 0;
    window->n = 0;
    for (size_t i = 0; i < proximity->kept; i++) {
        const struct sample *sample = latest(proximity, i);
        if (approach && now - sample->at > APPROACH_WINDOW_MS && i >= slow)
            break;
        window->dbm[window->n++] = sample->dbm;
        window->oldest = sample->at;
        sum += sample->dbm;
        squares += (double)sample->dbm * sample->dbm;
    }
    size_t n = window->n;
    if (n == 0)
        return;
    qsort(window->dbm, n, sizeof(window->dbm[0]), compare_int);
    window->median = (window->dbm[(n - 1) / 2] + window->dbm[n / 2]) / 2.0;
    window->variance = fmax(squares / (double)n - (sum / (double)n) * (sum / (double)n), 0.0);
}

/* The chance that the true level is on the same side of the threshold as the median, stretched so
 * that a coin's toss is 0. */
static unsigned confidence(const struct window *window, double threshold)
{
    double sd = sqrt(PLACE_SD_DB * PLACE_SD_DB + window->variance / (double)window->n);
    double z = fabs(window->median - threshold) / sd;
    return (unsigned)lround(100.0 * erf(z / sqrt(2.0)));
}

static bool may_decide(const struct sh_proximity *proximity, const struct window *window, sh_ms now)
{
    if (proximity->use == SH_PROXIMITY_APPROACH)
        return window->n >= APPROACH_SAMPLES &&
               proximity->last - SH_MIN(proximity->run_first, window->oldest) >= APPROACH_SPAN_MS;
    return proximity->total >= MEASURE_SAMPLES && now - proximity->first >= SH_MEASURE_MS;
}

struct sh_proximity_estimate sh_proximity_at(struct sh_proximity *proximity, sh_ms now)
{
    if (proximity->decided)
        return proximity->estimate;
    struct sh_proximity_estimate estimate = {
        .metres = (double)NAN, .median_dbm = (double)NAN, .samples = proximity->total};
    now = SH_MAX(now, proximity->last);
    struct window window;
    window_fill(proximity, now, &window);
    if (window.n == 0)
        return estimate;
    double threshold = proximity->ref1m_dbm - ACCEPT_MARGIN_DB;
    estimate.median_dbm = window.median;
    estimate.metres = pow(10.0, (proximity->ref1m_dbm - window.median) / (10.0 * SH_PATH_EXPONENT));
    estimate.confidence_percent = confidence(&window, threshold);
    if (may_decide(proximity, &window, now)) {
        estimate.verdict = window.median >= threshold ? SH_PROXIMITY_ACCEPT : SH_PROXIMITY_REJECT;
        proximity->decided = proximity->use == SH_PROXIMITY_MEASURE;
        proximity->estimate = estimate;
    }
    return estimate;
}
