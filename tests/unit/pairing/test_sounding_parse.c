/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "sounding_data.h"

static struct sounding_data data;

static bool open_data(struct sh_sounding_reader *reader, size_t n)
{
    return sh_sounding_reader_open(SH_BYTES(data.octets, n), reader);
}

static void fill_side(struct sh_sounding_side *side, uint8_t mode, uint8_t paths, int seed)
{
    if (mode == 1 || mode == 3) {
        side->packet_quality = (uint8_t)(seed & 0x3f);
        side->nadm = 5;
        side->time = (int16_t)-seed;
    }
    if (mode < 2)
        return;
    side->permutation = (uint8_t)(seed % 24);
    for (int k = 0; k < SH_MIN(paths + 1, SH_SOUNDING_SLOTS); k++)
        side->tones[k] = (struct sh_sounding_tone){.i = (int16_t)(seed + k),
                                                   .q = (int16_t)(-seed - 3 * k),
                                                   .quality = (uint8_t)(k * 16 + 1)};
}

static struct sh_sounding_step step_of(uint8_t mode, uint8_t channel, uint8_t paths, int seed)
{
    struct sh_sounding_step step = {.mode = mode, .channel = channel, .paths = paths};
    fill_side(&step.initiator, mode, paths, seed);
    fill_side(&step.reflector, mode, paths, seed + 1000);
    return step;
}

static void assert_side(const struct sh_sounding_side *is, const struct sh_sounding_side *wanted)
{
    assert_int_equal(is->packet_quality, wanted->packet_quality);
    assert_int_equal(is->nadm, wanted->nadm);
    assert_int_equal(is->time, wanted->time);
    assert_int_equal(is->permutation, wanted->permutation);
    for (size_t k = 0; k < SH_SOUNDING_SLOTS; k++) {
        assert_int_equal(is->tones[k].i, wanted->tones[k].i);
        assert_int_equal(is->tones[k].q, wanted->tones[k].q);
        assert_int_equal(is->tones[k].quality, wanted->tones[k].quality);
    }
}

static void all_is_read(void **state SH_UNUSED)
{
    static const uint8_t paths[] = {0, 1, 2, 3, 4, 5, 255};
    for (size_t p = 0; p < SH_COUNT(paths); p++) {
        struct sh_sounding_step steps[9], step;
        struct sh_sounding_reader reader;
        for (size_t i = 0; i < SH_COUNT(steps); i++)
            steps[i] = step_of((uint8_t)(i % 4), (uint8_t)(70 + i), paths[p], 17 * (int)i + 1);
        data_head(&data, 0xabcd);
        data_side(&data, steps, SH_COUNT(steps), true, 4);
        data_side(&data, steps, SH_COUNT(steps), false, 4);
        data_tail(&data);
        assert_true(open_data(&reader, data.n));
        assert_int_equal(reader.counter, 0xabcd);
        for (size_t i = 0; i < SH_COUNT(steps); i++) {
            assert_true(sh_sounding_reader_next(&reader, &step));
            assert_int_equal(step.mode, steps[i].mode);
            assert_int_equal(step.channel, steps[i].channel);
            assert_int_equal(step.paths, steps[i].paths);
            assert_side(&step.initiator, &steps[i].initiator);
            assert_side(&step.reflector, &steps[i].reflector);
        }
        assert_false(sh_sounding_reader_next(&reader, &step));
        assert_false(sh_sounding_reader_next(&reader, &step));
        assert_int_equal(reader.unpaired, 0);
    }
}

/* Through the octets and out again the distance is the same. */
static void distance_comes_through(void **state SH_UNUSED)
{
    struct synth synth = synth_plain(1.3, 4);
    struct sh_sounding_step step;
    struct sh_sounding_reader reader;
    struct sh_sounding *sounding = sh_sounding_new();
    synth.antennas = 2;
    synth_make(&synth);
    data_of(&data, synth.steps, synth.n);
    assert_true(open_data(&reader, data.n));
    while (sh_sounding_reader_next(&reader, &step))
        sh_sounding_add(sounding, &step);
    sh_sounding_complete(sounding);
    struct sh_sounding_estimate e = sh_sounding_now(sounding);
    assert_int_equal(e.verdict, SH_SOUNDING_GOOD);
    assert_true(fabs(e.phase_m - 1.3) < 0.03);
    assert_true(fabs(e.time_m - 1.3) < 0.5);
    assert_int_equal(e.channels, 72);
    sh_sounding_free(sounding);
}

/* Cut anywhere it is refused; the buffer is as long as what is said to be there, so reading on would be seen. */
static void cut(void **state SH_UNUSED)
{
    struct sh_sounding_step steps[4];
    struct sh_sounding_reader reader;
    for (size_t i = 0; i < SH_COUNT(steps); i++)
        steps[i] = step_of((uint8_t)i, (uint8_t)(3 + i), 2, 9);
    data_of(&data, steps, SH_COUNT(steps));
    assert_true(open_data(&reader, data.n));
    assert_true(open_data(&reader, data.n - 1)); /* as long as it is documented */
    for (size_t n = 0; n < data.n - 1; n++) {
        uint8_t *octets = malloc(n + 1);
        assert_non_null(octets);
        memcpy(octets + 1, data.octets, n); /* the end is the end of what was allocated */
        assert_false(sh_sounding_reader_open(SH_BYTES(octets + 1, n), &reader));
        free(octets);
    }
    assert_false(sh_sounding_reader_open(SH_BYTES(NULL, 0), &reader));
}

static void too_long(void **state SH_UNUSED)
{
    struct sh_sounding_reader reader;
    data_of(&data, NULL, 0);
    memset(data.octets + data.n, 0, sizeof(data.octets) - data.n);
    assert_true(open_data(&reader, SH_SOUNDING_DATA_MAX));
    assert_false(open_data(&reader, SH_SOUNDING_DATA_MAX + 1));
}

static void counts_that_lie(void **state SH_UNUSED)
{
    static const uint32_t counts[] = {2, 1000, 0x7fffffff, 0x80000000, 0xffffffff};
    struct sh_sounding_step step = step_of(2, 5, 1, 1);
    struct sh_sounding_reader reader;
    for (size_t i = 0; i < SH_COUNT(counts); i++) {
        for (size_t which = 0; which < 2; which++) {
            data_of(&data, &step, 1);
            /* The number of subevents stands behind the head, that of steps at the end of a subevent's. */
            struct sounding_data at = {.n = 0};
            data_put(&at, counts[i], 4);
            memcpy(data.octets + (which == 0 ? 6 : 10 + 15), at.octets, 4);
            assert_false(open_data(&reader, data.n));
        }
    }
}

static void unknown_mode(void **state SH_UNUSED)
{
    struct sh_sounding_step step = step_of(2, 5, 1, 1);
    struct sh_sounding_reader reader;
    step.mode = 4;
    data_of(&data, &step, 1);
    assert_false(open_data(&reader, data.n));
}

/* Two procedures, one side of each. */
static void data_of_two(const struct sh_sounding_step *a, size_t a_n,
                        const struct sh_sounding_step *b, size_t b_n, bool channels)
{
    data_head(&data, 1);
    data_side(&data, a, a_n, true, 3);
    data_put(&data, (b_n + 2) / 3, 4);
    for (size_t i = 0; i < b_n; i++) {
        if (i % 3 == 0)
            data_subevent(&data, b[i].paths, (uint32_t)SH_MIN((size_t)3, b_n - i));
        data_step(&data, &b[i], false, channels ? b[i].channel : 0);
    }
    data_put(&data, 0, 1);
    data_tail(&data);
}

/* The channels of what is given out, as text. */
static const char *channels_read(unsigned *ret_unpaired)
{
    static char text[64];
    struct sh_sounding_reader reader;
    struct sh_sounding_step step;
    text[0] = '\0';
    assert_true(open_data(&reader, data.n));
    while (sh_sounding_reader_next(&reader, &step))
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%u ", step.channel);
    *ret_unpaired = reader.unpaired;
    return text;
}

static void what_only_one_side_has(void **state SH_UNUSED)
{
    struct sh_sounding_step steps[6], others[6];
    unsigned unpaired = 0;
    for (uint8_t i = 0; i < 6; i++)
        others[i] = steps[i] = step_of(2, (uint8_t)(10 + i), 1, 5);
    data_of_two(steps, 6, others, 6, true);
    assert_string_equal(channels_read(&unpaired), "10 11 12 13 14 15 ");
    assert_int_equal(unpaired, 0);
    /* Another channel, another mode (a step that was aborted): only that one is lost. */
    others[1].channel = 40;
    others[4] = step_of(0, 0, 1, 5);
    data_of_two(steps, 6, others, 6, true);
    assert_string_equal(channels_read(&unpaired), "10 12 13 15 ");
    assert_int_equal(unpaired, 2);
    /* A subevent that ended early on one side: the next ones are told together again. */
    data_head(&data, 1);
    data_side(&data, steps, 6, true, 3);
    data_put(&data, 2, 4);
    data_subevent(&data, 1, 1);
    data_step(&data, &steps[0], false, 0);
    data_subevent(&data, 1, 3);
    for (size_t i = 3; i < 6; i++)
        data_step(&data, &steps[i], false, 0);
    data_put(&data, 0, 1);
    data_tail(&data);
    assert_string_equal(channels_read(&unpaired), "10 13 14 15 ");
    assert_int_equal(unpaired, 2);
    /* Nothing of the other side, or less subevents. */
    data_of_two(steps, 6, NULL, 0, true);
    assert_string_equal(channels_read(&unpaired), "");
    data_of_two(steps, 6, steps, 3, true);
    assert_string_equal(channels_read(&unpaired), "10 11 12 ");
    data_of_two(steps, 3, steps, 6, false);
    assert_string_equal(channels_read(&unpaired), "10 11 12 ");
    /* The antennas differ: which tone is which is not known. */
    for (uint8_t i = 0; i < 6; i++)
        others[i] = step_of(2, (uint8_t)(10 + i), 2, 5);
    data_of_two(steps, 6, others, 6, true);
    assert_string_equal(channels_read(&unpaired), "");
    assert_int_equal(unpaired, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_read),
        cmocka_unit_test(distance_comes_through),
        cmocka_unit_test(cut),
        cmocka_unit_test(too_long),
        cmocka_unit_test(counts_that_lie),
        cmocka_unit_test(unknown_mode),
        cmocka_unit_test(what_only_one_side_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
