/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One metre, as an engine: samples in, an estimate after each, a verdict in the end. What radio can and
 * cannot decide, and how often this is right on recordings of others, stands in docs/proximity.md; it is
 * friction, never authorisation.
 *
 * A sample counts by how far it lies above the level expected at one metre (dB). Its *score* is half the
 * mean of 250 ms block means and half their power mean; its *spread*, the standard deviation of the block
 * means, says whether the fading was seen from more than one place. One metre is accepted
 *     moved     spread of 2 dB or more over 8 blocks or more, and a score of -1 dB or more
 *     held      a score of 3.5 dB or more (2.5 with fewer blocks: slow senders)
 * each higher by what is not known of the level, and by 2 dB under the strict rule, which never accepts
 * a held device below 5.5 dB. With the other side's samples too, the score is the mean of both, and two that
 * differ by more than 6 dB (12 where one level is better known than the other) are refused. A distance by Channel Sounding, where there is one, decides instead.
 *
 * Two uses: *approach* runs on for ever and says near or not at any time; *measure* collects for
 * SH_MEASURE_MS, for longer when movement or a step closer may still help, and decides once. Constant
 * memory, constant work a sample; the same samples give the same result on any machine with IEEE 754.
 */
#ifndef SIMHOP_PAIRING_PROXIMITY_H
#define SIMHOP_PAIRING_PROXIMITY_H

#include "proto/cause.h"

#define SH_RSSI_NONE         127 /* "not available" in HCI (Core 5.4 vol 4 part E section 7.5.4) */
#define SH_DEFAULT_1M_DBM    (-62.0)
#define SH_TX_TO_1M_DB       58.0 /* the level at one metre is the transmit power less this */
#define SH_PATH_EXPONENT     1.4  /* rooms; 2 is free space */
#define SH_MEASURE_MS        3000
#define SH_MEASURE_LONGER_MS 8000  /* with "move it" or "come closer" */
#define SH_MEASURE_SLOW_MS   15000 /* for the samples that a slow sender owes */
#define SH_MEASURE_SAMPLES   6
#define SH_MEASURE_LEAST     3 /* when no more will come */
#define SH_ASYMMETRY_DB      6.0
#define SH_ASYMMETRY_UNEQUAL_DB                                                                    \
    12.0 /* one level is known better than the other: they differ by their errors too */
#define SH_CHANNEL_UNKNOWN 255

enum sh_proximity_verdict { SH_PROXIMITY_UNDECIDED, SH_PROXIMITY_ACCEPT, SH_PROXIMITY_REJECT };

/* What the person can do about it. */
enum sh_proximity_advice {
    SH_ADVICE_NONE,   /* decided */
    SH_ADVICE_WAIT,   /* nothing is heard yet */
    SH_ADVICE_HOLD,   /* hold on: it is being measured */
    SH_ADVICE_MOVE,   /* near enough if it were moved a little */
    SH_ADVICE_CLOSER, /* too far, or too far for a device that lies still */
};

/* How well the level at one metre is known. */
enum sh_level_kind {
    SH_LEVEL_ASSUMED,    /* SH_DEFAULT_1M_DBM */
    SH_LEVEL_STATED,     /* by the sender, or a table of controllers */
    SH_LEVEL_CALIBRATED, /* measured for this pair */
};

struct sh_level {
    double dbm; /* expected at one metre */
    enum sh_level_kind kind;
};

/* The best that is known: calibrated, else stated, else the default. Either may be NAN; one outside -90 .. -20
 * dBm, which no device has, is not believed. */
struct sh_level sh_level_best(double calibrated_dbm, double stated_dbm);

enum sh_proximity_use { SH_PROXIMITY_APPROACH, SH_PROXIMITY_MEASURE };
enum sh_proximity_rule { SH_PROXIMITY_NORMAL, SH_PROXIMITY_STRICT };
enum sh_proximity_side { SH_SIDE_OURS, SH_SIDE_THEIRS, SH_SIDE_COUNT };
enum sh_proximity_source { SH_SOURCE_ADVERT, SH_SOURCE_CONNECTION };

struct sh_proximity_sample {
    sh_ms at;
    int dbm;
    int power_db;    /* sent by so much louder than the level says (a stepped transmit power), 0 */
    uint8_t channel; /* 0 to 39, else unknown */
    enum sh_proximity_source source;
    enum sh_proximity_side side; /* whose receiver */
};

/* What a verdict rests on. */
struct sh_proximity_evidence {
    double score_db;     /* above the level at one metre; NAN: nothing was heard */
    double margin_db;    /* score less what the rule asked for; NAN like it */
    double spread_db;    /* 0 with one block */
    double asymmetry_db; /* our score less theirs; NAN with one side only */
    unsigned samples[SH_SIDE_COUNT];
    unsigned blocks;   /* of 250 ms in which we heard something */
    double rate_hz;    /* of ours, 0 with one */
    unsigned channels; /* distinct known ones of ours */
    unsigned refused;  /* samples that did not count: 127, impossible, late */
    enum sh_level_kind level;
    bool moved;    /* accepted or refused as one that moved */
    bool sounding; /* a distance by Channel Sounding decided */
};

struct sh_proximity_estimate {
    double metres; /* NAN while no sample counts; of the last half second until it is decided */
    unsigned confidence_percent; /* 0 to 100: how sure "within one metre" or "not" is */
    unsigned samples;            /* of ours, usable ones so far */
    double level_dbm;            /* mean of what was heard; NAN while no sample counts */
    enum sh_proximity_verdict verdict;
    enum sh_proximity_advice advice;
    struct sh_proximity_evidence evidence;
};

struct sh_proximity;

struct sh_proximity_config {
    enum sh_proximity_use use;
    enum sh_proximity_rule rule;
    struct sh_level
        level[SH_SIDE_COUNT]; /* that side's receiver; theirs counts only with samples of theirs */
};

/* NULL when there is no memory. */
struct sh_proximity *sh_proximity_new(const struct sh_proximity_config *config);
void sh_proximity_free(struct sh_proximity *proximity);

/* One sample. 127, values outside -127 .. +20 dBm, times that run backwards and samples after a verdict of
 * `measure` do not count. A burst weighs no more than its 250 ms; one value no more than a touch would give. */
void sh_proximity_add(struct sh_proximity *proximity, const struct sh_proximity_sample *sample);

/* A distance of Channel Sounding with its standard deviation, in metres; the last of at most 2 s ago counts. NAN,
 * infinite, negative ones and times that run backwards do not. */
void sh_proximity_sounding(struct sh_proximity *proximity, sh_ms at, double metres, double sd_m);

/* The estimate at this time. approach: from 4 samples over at least 300 ms on, ACCEPT while the score of the
 * last 1.5 s (of the last 4 samples within 6 s of a sender that is heard seldom but evenly) is -1 dB or more, else
 * REJECT (which may change), UNDECIDED again when samples stay away. measure: UNDECIDED until SH_MEASURE_MS after the
 * first sample and SH_MEASURE_SAMPLES of them, or until it is clear (a second at 9 dB or more, 1.5 s at -12 or
 * less), and on to SH_MEASURE_LONGER_MS while advice may help; then a verdict that stays. */
struct sh_proximity_estimate sh_proximity_at(struct sh_proximity *proximity, sh_ms now);

/* measure: no more samples will come; decides by those there are. With fewer than SH_MEASURE_LEAST of ours it
 * rejects. approach: as sh_proximity_at at the time of the last sample. */
struct sh_proximity_estimate sh_proximity_finish(struct sh_proximity *proximity);

/* How clear a verdict is, in dB: 0 or more if accepted, below 0 if refused, always finite, higher = nearer. By how much the
 * score is above what the rule asked for, or the asymmetry below what it allows, whichever is less; SH_MARGIN_NONE_DB if
 * nothing was heard. */
#define SH_MARGIN_NONE_DB (-100.0)
double sh_proximity_margin(const struct sh_proximity_estimate *estimate);

/* Time of the sample at which `measure` decided; of the last one before. */
sh_ms sh_proximity_decided_at(const struct sh_proximity *proximity);

/* By how much both sides may differ, in dB, by how well their levels at one metre are known. */
double sh_proximity_asymmetry_limit(enum sh_level_kind ours, enum sh_level_kind theirs);

/* "move it", ...: for JSON and logs. Borrowed; never NULL. */
const char *sh_advice_name(enum sh_proximity_advice advice);
const char *sh_level_kind_name(enum sh_level_kind kind);

#endif
