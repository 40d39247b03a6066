/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/proximity.h"

#include <math.h>
#include <stdlib.h>

#include "pairing/level_window.h"

/* The rule, in dB above the level at one metre; docs/proximity.md has what they were chosen by. */
#define MOVED_DB      (-1.0)
#define HELD_DB       3.5
#define HELD_FEW_DB   2.5
#define SPREAD_DB     2.0
#define SPREAD_BLOCKS 8
#define TOUCH_DB      9.0
#define FAR_DB        (-12.0)
#define HOPE_DB       (-4.0) /* below it neither movement nor a small step helps */
#define MOST_DB       18.0   /* 5 cm: nothing honest is louder */
#define STATED_DB     1.5    /* what a level that is not calibrated costs */
#define ASSUMED_DB    2.5
#define STRICT_DB     2.0
#define MEAN_WEIGHT   0.5

#define LEAST_MARGIN_DB 0.01

#define TOUCH_MS           1000
#define FAR_MS             1500
#define LIVE_MS            500 /* what the metres of a meter are of */
#define LIVE_SAMPLES       3
#define APPROACH_WINDOW_MS 1500
#define APPROACH_SPAN_MS   300
#define APPROACH_SAMPLES   4
#define APPROACH_SLOW_MS   6000 /* for so many: Linux advertises every 1.28 s by itself */
#define UNEVEN             4    /* times the shortest gap between two of them */
#define SOUNDING_MS        2000
#define SOUNDING_M         1.0
#define SOUNDING_SURE      1.0 /* standard deviations that a distance must lie within */

#define CHANNELS    40
#define DBM_MIN     (-127)
#define DBM_MAX     20
#define REF_MIN_DBM (-90.0)
#define REF_MAX_DBM (-20.0)

/* Standard deviation of a score about what the distance makes of it, by what was seen of the fading and
 * what is known of the level. */
#define HELD_SD_DB    4.5
#define MOVED_SD_DB   2.5
#define STATED_SD_DB  4.0
#define ASSUMED_SD_DB 8.0

struct side {
    struct sh_level level;
    struct sh_level_window window;
    unsigned total;
    sh_ms first, last;
};

struct sh_proximity {
    enum sh_proximity_use use;
    enum sh_proximity_rule rule;
    struct side sides[SH_SIDE_COUNT];
    sh_ms recent[APPROACH_SAMPLES]; /* times of our latest samples, a ring */
    sh_ms run_first; /* since then no gap was longer than the window of an approach */
    uint64_t channels;
    unsigned refused;
    sh_ms sounded_at;
    double sounded_m, sounded_sd_m;
    bool decided; /* measure only: `estimate` is final */
    struct sh_proximity_estimate estimate;
};

struct sh_level sh_level_best(double calibrated_dbm, double stated_dbm)
{
    /* Written so that NAN fails it too. */
    if (calibrated_dbm >= REF_MIN_DBM && calibrated_dbm <= REF_MAX_DBM)
        return (struct sh_level){calibrated_dbm, SH_LEVEL_CALIBRATED};
    if (stated_dbm >= REF_MIN_DBM && stated_dbm <= REF_MAX_DBM)
        return (struct sh_level){stated_dbm, SH_LEVEL_STATED};
    return (struct sh_level){SH_DEFAULT_1M_DBM, SH_LEVEL_ASSUMED};
}

struct sh_proximity *sh_proximity_new(const struct sh_proximity_config *config)
{
    struct sh_proximity *proximity = calloc(1, sizeof(*proximity));
    if (!proximity)
        return NULL;
    proximity->use = config->use;
    proximity->rule = config->rule;
    for (size_t i = 0; i < SH_SIDE_COUNT; i++)
        proximity->sides[i].level = config->level[i];
    proximity->sounded_at = SH_NEVER;
    return proximity;
}

void sh_proximity_free(struct sh_proximity *proximity)
{
    free(proximity);
}

static const struct side *ours_of(const struct sh_proximity *proximity)
{
    return &proximity->sides[SH_SIDE_OURS];
}

static void note_time(struct sh_proximity *proximity, sh_ms at)
{
    const struct side *ours = ours_of(proximity);
    if (ours->total == 0 || at - ours->last > APPROACH_WINDOW_MS)
        proximity->run_first = at;
    proximity->recent[ours->total % APPROACH_SAMPLES] = at;
}

void sh_proximity_add(struct sh_proximity *proximity, const struct sh_proximity_sample *sample)
{
    struct side *side = &proximity->sides[sample->side];
    sh_ms first = ours_of(proximity)->first;
    /* A measurement that is over by this time is decided without this sample, if nobody has asked before. */
    if (proximity->use == SH_PROXIMITY_MEASURE && ours_of(proximity)->total > 0 &&
        sample->at > first && sample->at - first > SH_MEASURE_MS)
        (void)sh_proximity_at(proximity, sample->at);
    if (proximity->decided)
        return;
    if (sample->dbm < DBM_MIN || sample->dbm > DBM_MAX ||
        (side->total > 0 && sample->at < side->last)) {
        proximity->refused += proximity->refused < UINT32_MAX;
        return;
    }
    if (sample->side == SH_SIDE_OURS) {
        note_time(proximity, sample->at);
        if (sample->channel < CHANNELS)
            proximity->channels |= UINT64_C(1) << sample->channel;
    }
    if (side->total == 0)
        side->first = sample->at;
    side->last = sample->at;
    side->total += side->total < UINT32_MAX;
    double db = sample->dbm - sample->power_db - side->level.dbm;
    sh_level_window_add(&side->window, sample->at, fmin(db, MOST_DB));
}

void sh_proximity_sounding(struct sh_proximity *proximity, sh_ms at, double metres, double sd_m)
{
    bool before = proximity->sounded_at != SH_NEVER && at < proximity->sounded_at;
    if (before || !isfinite(metres) || !isfinite(sd_m) || metres < 0.0 || sd_m < 0.0)
        return;
    proximity->sounded_at = at;
    proximity->sounded_m = metres;
    proximity->sounded_sd_m = sd_m;
}

/* ---- What the samples say ---- */

struct view {
    struct sh_level_sum ours, theirs;
    double score_db, asymmetry_db, asymmetry_limit_db, spread_db, level_cost_db;
    bool both, moved;
};

static double score_of(const struct sh_level_sum *sum)
{
    return MEAN_WEIGHT * sum->mean_db + (1.0 - MEAN_WEIGHT) * sum->power_db;
}

static double cost_of(enum sh_level_kind kind)
{
    static const double costs[] = {[SH_LEVEL_ASSUMED] = ASSUMED_DB,
                                   [SH_LEVEL_STATED] = STATED_DB,
                                   [SH_LEVEL_CALIBRATED] = 0.0};
    return costs[kind];
}

static struct view view_since(const struct sh_proximity *proximity, sh_ms from)
{
    const struct side *ours = ours_of(proximity);
    const struct side *theirs = &proximity->sides[SH_SIDE_THEIRS];
    struct view view = {.ours = sh_level_window_since(&ours->window, from),
                        .asymmetry_db = (double)NAN,
                        .level_cost_db = cost_of(ours->level.kind)};
    if (theirs->total > 0)
        view.theirs = sh_level_window_since(&theirs->window, from);
    view.both = view.theirs.blocks > 0;
    view.score_db = score_of(&view.ours);
    view.spread_db = view.ours.spread_db;
    unsigned blocks = view.ours.blocks;
    if (view.both) {
        double peer = score_of(&view.theirs);
        view.asymmetry_db = view.score_db - peer;
        view.asymmetry_limit_db =
            sh_proximity_asymmetry_limit(ours->level.kind, theirs->level.kind);
        view.score_db = (view.score_db + peer) / 2.0;
        view.spread_db = (view.spread_db + view.theirs.spread_db) / 2.0;
        view.level_cost_db = (view.level_cost_db + cost_of(theirs->level.kind)) / 2.0;
        blocks = SH_MIN(blocks, view.theirs.blocks);
    }
    view.moved = view.spread_db >= SPREAD_DB && blocks >= SPREAD_BLOCKS;
    return view;
}

/* How many of our latest samples count however old they are: those of a sender that is heard seldom but evenly, as
 * long as it is not missed twice. The time of the oldest of them; SH_NEVER: none. */
static sh_ms slow_since(const struct sh_proximity *proximity, sh_ms now)
{
    const struct side *ours = ours_of(proximity);
    if (ours->total < APPROACH_SAMPLES)
        return SH_NEVER;
    sh_ms least = SH_NEVER, most = 0;
    sh_ms oldest = proximity->recent[ours->total % APPROACH_SAMPLES];
    for (unsigned i = 1; i < APPROACH_SAMPLES; i++) {
        sh_ms gap = proximity->recent[(ours->total + i) % APPROACH_SAMPLES] -
                    proximity->recent[(ours->total + i - 1) % APPROACH_SAMPLES];
        least = SH_MIN(least, gap);
        most = SH_MAX(most, gap);
    }
    bool even = most / UNEVEN <= least && now - oldest <= APPROACH_SLOW_MS;
    bool there = now - ours->last <= SH_MAX(2 * most, (sh_ms)APPROACH_WINDOW_MS);
    return even && there ? oldest : SH_NEVER;
}

static sh_ms back_from(sh_ms now, sh_ms by)
{
    return now > by ? now - by : 0;
}

/* Since when the samples count at `now`; false: nothing counts. */
static bool counts_since(const struct sh_proximity *proximity, sh_ms now, sh_ms *ret_since)
{
    const struct side *ours = ours_of(proximity);
    if (ours->total == 0)
        return false;
    if (proximity->use == SH_PROXIMITY_APPROACH) {
        sh_ms slow = slow_since(proximity, now);
        *ret_since = SH_MIN(slow, back_from(now, APPROACH_WINDOW_MS));
        return slow != SH_NEVER || now - ours->last <= APPROACH_WINDOW_MS;
    }
    *ret_since = SH_MAX(ours->first, back_from(ours->last, SH_MEASURE_MS));
    if (sh_level_window_since(&ours->window, *ret_since).samples < SH_MEASURE_SAMPLES)
        *ret_since = ours->first;
    return true;
}

/* ---- The rule ---- */

static double accept_at(const struct sh_proximity *proximity, const struct view *view)
{
    bool strict = proximity->rule == SH_PROXIMITY_STRICT;
    double costs = view->level_cost_db + (strict ? STRICT_DB : 0.0);
    if (view->moved)
        return MOVED_DB + costs;
    return (strict || view->ours.blocks >= SPREAD_BLOCKS ? HELD_DB : HELD_FEW_DB) + costs;
}

double sh_proximity_asymmetry_limit(enum sh_level_kind ours, enum sh_level_kind theirs)
{
    return ours == theirs ? SH_ASYMMETRY_DB : SH_ASYMMETRY_UNEQUAL_DB;
}

static bool is_symmetric(const struct view *view)
{
    return !view->both || fabs(view->asymmetry_db) <= view->asymmetry_limit_db;
}

static bool is_sounded(const struct sh_proximity *proximity, sh_ms now)
{
    return proximity->sounded_at != SH_NEVER && now - proximity->sounded_at <= SOUNDING_MS;
}

/* With Channel Sounding the distance decides, and a level that no such distance has refuses it. */
static bool is_near(const struct sh_proximity *proximity, const struct view *view, sh_ms now)
{
    if (!is_symmetric(view))
        return false;
    if (is_sounded(proximity, now))
        return proximity->sounded_m + SOUNDING_SURE * proximity->sounded_sd_m <= SOUNDING_M &&
               view->score_db >= FAR_DB;
    return view->score_db >= accept_at(proximity, view);
}

static enum sh_proximity_advice advice_for(const struct sh_proximity *proximity,
                                           const struct view *view)
{
    if (proximity->use == SH_PROXIMITY_APPROACH)
        return view->score_db >= MOVED_DB ? SH_ADVICE_HOLD : SH_ADVICE_CLOSER;
    if (!is_symmetric(view) || view->score_db < MOVED_DB + view->level_cost_db)
        return SH_ADVICE_CLOSER;
    if (view->score_db < accept_at(proximity, view))
        return view->moved ? SH_ADVICE_CLOSER : SH_ADVICE_MOVE;
    return SH_ADVICE_HOLD;
}

/* When `measure` may end, and how; UNDECIDED: go on. */
static enum sh_proximity_verdict measure(const struct sh_proximity *proximity,
                                         const struct view *view, sh_ms now)
{
    const struct side *ours = ours_of(proximity);
    sh_ms spent = now - ours->first;
    if (ours->total < SH_MEASURE_SAMPLES)
        return spent >= SH_MEASURE_SLOW_MS ? SH_PROXIMITY_REJECT : SH_PROXIMITY_UNDECIDED;
    if (now - ours->last > APPROACH_WINDOW_MS && spent < SH_MEASURE_LONGER_MS)
        return SH_PROXIMITY_UNDECIDED; /* silence decides nothing */
    bool near = is_near(proximity, view, ours->last);
    if (near && spent >= TOUCH_MS && view->score_db >= TOUCH_DB)
        return SH_PROXIMITY_ACCEPT;
    if (spent >= FAR_MS && view->score_db <= FAR_DB)
        return SH_PROXIMITY_REJECT;
    if (spent < SH_MEASURE_MS)
        return SH_PROXIMITY_UNDECIDED;
    if (near)
        return SH_PROXIMITY_ACCEPT;
    bool may_help = view->score_db >= HOPE_DB && spent < SH_MEASURE_LONGER_MS;
    return may_help ? SH_PROXIMITY_UNDECIDED : SH_PROXIMITY_REJECT;
}

static enum sh_proximity_verdict approach(const struct sh_proximity *proximity,
                                          const struct view *view, sh_ms now)
{
    const struct side *ours = ours_of(proximity);
    sh_ms begin = SH_MIN(proximity->run_first, slow_since(proximity, now));
    if (view->ours.samples < APPROACH_SAMPLES || ours->total < APPROACH_SAMPLES ||
        ours->last < begin + APPROACH_SPAN_MS)
        return SH_PROXIMITY_UNDECIDED;
    return view->score_db >= MOVED_DB ? SH_PROXIMITY_ACCEPT : SH_PROXIMITY_REJECT;
}

/* ---- The estimate ---- */

static double metres_of(double score_db)
{
    return pow(10.0, -score_db / (10.0 * SH_PATH_EXPONENT));
}

/* What a meter shows follows the hand: the last half second where enough was heard in it. */
static double metres_now(const struct sh_proximity *proximity, const struct view *view, sh_ms now)
{
    if (is_sounded(proximity, now))
        return proximity->sounded_m;
    sh_ms since = back_from(ours_of(proximity)->last, LIVE_MS);
    struct view live = view_since(proximity, since);
    return metres_of(live.ours.samples >= LIVE_SAMPLES ? live.score_db : view->score_db);
}

/* The chance that the true score is on the same side of the threshold, stretched so that a coin's toss is 0. */
static unsigned confidence(const struct sh_proximity *proximity, const struct view *view)
{
    static const double level_sd[] = {[SH_LEVEL_ASSUMED] = ASSUMED_SD_DB,
                                      [SH_LEVEL_STATED] = STATED_SD_DB,
                                      [SH_LEVEL_CALIBRATED] = 0.0};
    double sd =
        hypot(view->moved ? MOVED_SD_DB : HELD_SD_DB, level_sd[ours_of(proximity)->level.kind]);
    double z = fabs(view->score_db - accept_at(proximity, view)) / sd;
    return (unsigned)lround(100.0 * erf(z / sqrt(2.0)));
}

static struct sh_proximity_evidence evidence_of(const struct sh_proximity *proximity,
                                                const struct view *view, sh_ms now)
{
    const struct side *ours = ours_of(proximity);
    struct sh_proximity_evidence evidence = {
        .score_db = view->score_db,
        .margin_db = view->score_db - accept_at(proximity, view),
        .spread_db = view->spread_db,
        .blocks = view->ours.blocks,
        .asymmetry_db = view->asymmetry_db,
        .samples = {ours->total, proximity->sides[SH_SIDE_THEIRS].total},
        .channels = (unsigned)__builtin_popcountll(proximity->channels),
        .refused = proximity->refused,
        .level = ours->level.kind,
        .moved = view->moved,
        .sounding = is_sounded(proximity, now),
    };
    if (ours->last > ours->first)
        evidence.rate_hz = (ours->total - 1) * 1000.0 / (double)(ours->last - ours->first);
    return evidence;
}

static struct sh_proximity_estimate nothing_yet(const struct sh_proximity *proximity)
{
    return (struct sh_proximity_estimate){
        .metres = (double)NAN,
        .level_dbm = (double)NAN,
        .samples = ours_of(proximity)->total,
        .advice = SH_ADVICE_WAIT,
        .evidence = {.score_db = (double)NAN,
                     .margin_db = (double)NAN,
                     .asymmetry_db = (double)NAN,
                     .samples = {ours_of(proximity)->total},
                     .refused = proximity->refused,
                     .level = ours_of(proximity)->level.kind},
    };
}

static void decide(struct sh_proximity *proximity, struct sh_proximity_estimate *estimate)
{
    if (!isnan(estimate->evidence.score_db) && !estimate->evidence.sounding)
        estimate->metres = metres_of(estimate->evidence.score_db);
    /* "Closer" stays as what would have helped; nothing helps who is accepted. */
    if (estimate->verdict == SH_PROXIMITY_ACCEPT)
        estimate->advice = SH_ADVICE_NONE;
    proximity->decided = true;
    proximity->estimate = *estimate;
}

struct sh_proximity_estimate sh_proximity_at(struct sh_proximity *proximity, sh_ms now)
{
    sh_ms since = 0;
    if (proximity->decided)
        return proximity->estimate;
    struct sh_proximity_estimate estimate = nothing_yet(proximity);
    now = SH_MAX(now, ours_of(proximity)->last);
    if (!counts_since(proximity, now, &since))
        return estimate;
    struct view view = view_since(proximity, since);
    if (view.ours.blocks == 0)
        return estimate;
    estimate.level_dbm = view.ours.mean_db + ours_of(proximity)->level.dbm;
    estimate.metres = metres_now(proximity, &view, now);
    estimate.confidence_percent = confidence(proximity, &view);
    estimate.advice = advice_for(proximity, &view);
    estimate.evidence = evidence_of(proximity, &view, now);
    if (proximity->use == SH_PROXIMITY_APPROACH) {
        estimate.verdict = approach(proximity, &view, now);
        return estimate;
    }
    estimate.verdict = measure(proximity, &view, now);
    if (estimate.verdict != SH_PROXIMITY_UNDECIDED)
        decide(proximity, &estimate);
    return estimate;
}

struct sh_proximity_estimate sh_proximity_finish(struct sh_proximity *proximity)
{
    sh_ms last = ours_of(proximity)->last;
    struct sh_proximity_estimate estimate = sh_proximity_at(proximity, last);
    if (proximity->use == SH_PROXIMITY_APPROACH || proximity->decided)
        return estimate;
    sh_ms since = 0;
    estimate.verdict = SH_PROXIMITY_REJECT;
    if (ours_of(proximity)->total >= SH_MEASURE_LEAST && counts_since(proximity, last, &since)) {
        struct view view = view_since(proximity, since);
        if (is_near(proximity, &view, last))
            estimate.verdict = SH_PROXIMITY_ACCEPT;
    }
    decide(proximity, &estimate);
    return estimate;
}

double sh_proximity_margin(const struct sh_proximity_estimate *estimate)
{
    const struct sh_proximity_evidence *evidence = &estimate->evidence;
    bool accepted = estimate->verdict == SH_PROXIMITY_ACCEPT;
    double margin = evidence->margin_db;
    if (isnan(margin))
        return SH_MARGIN_NONE_DB;
    if (!isnan(evidence->asymmetry_db))
        margin = fmin(margin, SH_ASYMMETRY_DB - fabs(evidence->asymmetry_db));
    /* The verdict stands on the right side also where the level was not what decided. */
    margin = accepted ? fmax(margin, 0.0) : fmin(margin, -LEAST_MARGIN_DB);
    return fmax(margin, SH_MARGIN_NONE_DB);
}

sh_ms sh_proximity_decided_at(const struct sh_proximity *proximity)
{
    return SH_MAX(ours_of(proximity)->last, proximity->sides[SH_SIDE_THEIRS].last);
}

const char *sh_advice_name(enum sh_proximity_advice advice)
{
    static const char *const names[] = {[SH_ADVICE_NONE] = "none",
                                        [SH_ADVICE_WAIT] = "wait",
                                        [SH_ADVICE_HOLD] = "hold-on",
                                        [SH_ADVICE_MOVE] = "move-it",
                                        [SH_ADVICE_CLOSER] = "come-closer"};
    return names[advice];
}

const char *sh_level_kind_name(enum sh_level_kind kind)
{
    static const char *const names[] = {[SH_LEVEL_ASSUMED] = "assumed",
                                        [SH_LEVEL_STATED] = "stated",
                                        [SH_LEVEL_CALIBRATED] = "calibrated"};
    return names[kind];
}
