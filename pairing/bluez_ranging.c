/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Channel Sounding of the stream that is sampled, where bluetoothd has it (pairing/bluez_sounding.h): the side that called
 * starts it, because only one of the two may, and hands each distance on beside the signal strengths. Where there is none
 * nothing changes.
 */
#include <math.h>

#include "pairing/bluez_radio.h"
#include "pairing/bluez_sounding.h"
#include "proto/log.h"

#define SECONDS 10 /* as long as a measurement of nearness takes at most */

static void on_distance(double metres, double sd_m, const struct sh_sounding_estimate *estimate,
                        void *user)
{
    struct sh_bluez_radio *radio = user;
    sh_bluez_radio_enter(radio);
    sh_log("bluez: Channel Sounding: %s, %.2f m by phase, %.2f m by time",
           sh_sounding_verdict_name(estimate->verdict), estimate->phase_m, estimate->time_m);
    if (!isnan(metres) && radio->ble.ops->distance)
        radio->ble.ops->distance(radio->sounded, metres, sd_m, radio->ble.user);
    sh_bluez_radio_leave(radio);
}

static void on_none(enum sh_cause cause, void *user SH_UNUSED)
{
    sh_log("bluez: no Channel Sounding: %s (%s)", sh_cause_info(cause)->name, sh_detail());
}

static const struct sh_bluez_sounding_ops ops = {.distance = on_distance, .none = on_none};

void sh_bluez_ranging_start(struct sh_bluez_radio *radio, struct sh_stream *stream,
                            const char *device)
{
    sh_bluez_ranging_stop(radio, radio->sounded);
    if (sh_bluez_sounding_new(sh_bluez_daemon_bus(radio->daemon), device, SECONDS, &ops, radio,
                              &radio->sounding) != SH_OK) {
        sh_log("bluez: no Channel Sounding: %s", sh_detail());
        return;
    }
    radio->sounded = stream;
}

void sh_bluez_ranging_stop(struct sh_bluez_radio *radio, const struct sh_stream *stream)
{
    if (radio->sounded != stream)
        return;
    sh_bluez_sounding_free(radio->sounding);
    radio->sounding = NULL;
    radio->sounded = NULL;
}
