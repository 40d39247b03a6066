/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The first words inside the channel: the samples of both sides, each of which has committed to its own in the clear. Who does not
 * find the other near by both together ends here; until then nothing else is said.
 */
#include "cli/session_internal.h"
#include "proto/log.h"

enum sh_cause sh_session_send_samples(struct sh_session *s, struct sh_lane *lane)
{
    struct sh_samples_message message;
    sh_samples_fill(&s->result.samples, &message);
    return sh_lane_send(lane, SH_MSG_SAMPLES, &message.base.base);
}

static enum sh_cause judge(struct sh_session *s, struct sh_bytes payload)
{
    struct sh_samples theirs;
    SH_TRY(sh_samples_open(payload, s->result.peer_nonce, s->result.peer_commitment, &theirs));
    sh_session_trace_theirs(s, &theirs);
    struct sh_nearness_input input = {.rule = sh_policy_rule(s->config.policy),
                                      .estimate = &s->result.proximity,
                                      .ours = &s->result.samples,
                                      .theirs = &theirs};
    if (s->config.role == SH_ANCHOR) {
        input.stepped = s->config.stepped;
        input.stepped_count = s->config.stepped_count;
    }
    SH_TRY(sh_nearness_judge(&input, &s->nearness));
    s->judged = true;
    const struct sh_proximity_evidence *evidence = &s->nearness.joint.evidence;
    sh_log("session: both ends: score %.1f dB, spread %.1f dB, asymmetry %.1f dB",
           evidence->score_db, evidence->spread_db, evidence->asymmetry_db);
    enum sh_cause cause = sh_nearness_cause(&s->nearness);
    bool demanded = s->config.policy != SH_POLICY_OFF && !sh_session_calibrates(s);
    sh_session_trace_judged(s, cause, demanded);
    if (cause == SH_OK || demanded)
        return cause;
    sh_log("session: %s (%s), which is not demanded", sh_cause_info(cause)->name, sh_detail());
    return SH_OK;
}

enum sh_cause sh_session_on_samples(struct sh_session *s, struct slot *slot,
                                    struct sh_bytes payload)
{
    enum sh_cause cause = judge(s, payload);
    if (cause != SH_OK) {
        /* Inside the channel, so that the other device learns the reason and not just a broken line. */
        sh_session_end(s, cause);
        return SH_OK;
    }
    if (sh_session_calibrates(s))
        return sh_session_begin_calibration(s, slot->lane);
    sh_session_go(s, STAGE_ENROL, sh_session_now(s) + ENROL_MS);
    return s->config.role == SH_SECONDARY ? sh_session_ask_enrolment(s, slot->lane) : SH_OK;
}
