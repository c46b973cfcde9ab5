/* SPDX-License-Identifier: MIT */

#include "client/graph_svg.h"

#include "client/cells.h"
#include "client/client.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A picture of more than that shows nothing to anybody, and takes its time. */
#define SPOTS_MAX 4000
#define SWEEPS 4
#define PATHS_MAX 40
#define NAME_SHOWN_MAX 28
#define PATH_SHOWN_MAX 110

/* All in pixels. */
#define MARGIN 28.0
#define TITLE_HEIGHT 44.0
#define BOX_HEIGHT 54.0
#define BOX_WIDTH_MIN 124.0
#define BOX_GAP 20.0
#define LANE_HEIGHT 18.0                /* what an edge takes that passes by */
#define LAYER_GAP 76.0
#define FRAME_PADDING 16.0
#define FRAME_TITLE 24.0
#define BAND_GAP 18.0
#define CHARACTER 8.0                   /* of the names, bold, at 14 pixels */
#define LINE_HEIGHT 22.0

/* A box, or a place where an edge passes a layer. */
struct spot {
        size_t node;                    /* GRAPH_NONE: an edge passes */
        size_t layer, band;
        double rank;                    /* order within its layer and band */
        double x, y;                    /* upper left corner */
};

/* An edge from one layer to the next, or a closing one. */
struct segment {
        size_t from, to;                /* spots */
        bool is_first, is_last, is_closing;
};

struct picture {
        const struct graph *g;
        struct json_object *paths, *coalitions;
        struct spot *spots;
        size_t n_spots;
        struct segment *segments;
        size_t n_segments;
        size_t *order;                  /* spots by band, layer and rank */
        size_t n_bands;                 /* one a coalition, and one for everybody else */
        struct band {
                double top, height;
                double left, right;
        } *bands;
        double box_width, width, height;
};

/* ---- words ----------------------------------------------------------------------------------------- */

char *graph_label(char buf[static GRAPH_LABEL_MAX], const struct graph_node *node)
{
        uint64_t usec_per_sec = NONE, latency_usec = NONE;
        char cpu[FORMAT_MAX] = "", latency[FORMAT_MAX] = "";

        if (json_get_count(node->service, "AllocationUSecPerSec", &usec_per_sec) && usec_per_sec != NONE)
                (void)words_cpu(cpu, (double)usec_per_sec / 1e3);
        if (json_get_count(node->service, "LatencyModelUSec", &latency_usec) && latency_usec != NONE)
                (void)words_latency(latency, (double)latency_usec);
        (void)snprintf(buf, GRAPH_LABEL_MAX, "%s%s%s", *cpu || *latency ? cpu : "-", *cpu && *latency ? ", " : "",
                       latency);
        return buf;
}

const char *graph_color(size_t i, bool is_fill)
{
        /* Far apart in hue, alike in weight: black text reads well on all fills. */
        static const struct {
                const char *fill, *line;
        } colors[] = {
                { "#dbeafe", "#3b82f6" }, { "#dcfce7", "#22a45a" }, { "#fef3c7", "#d18b0a" },
                { "#fae8ff", "#b44fd0" }, { "#ffe4e6", "#e0485f" }, { "#ccfbf1", "#0f9f91" },
                { "#ede9fe", "#7c5cf0" }, { "#ffedd5", "#e2711d" },
        };

        i %= sizeof colors / sizeof *colors;
        return is_fill ? colors[i].fill : colors[i].line;
}

/* Text between tags, at most @n_max characters of it; what XML cannot say becomes a space. */
static void print_text(const char *text, size_t n_max)
{
        size_t n = 0;

        for (; *text; text++) {
                bool begins = ((unsigned char)*text & 0xc0) != 0x80;

                if (begins && n++ == n_max) {
                        (void)fputs("\u2026", stdout);
                        return;
                }
                switch (*text) {
                case '&':
                        (void)fputs("&amp;", stdout);
                        break;
                case '<':
                        (void)fputs("&lt;", stdout);
                        break;
                case '>':
                        (void)fputs("&gt;", stdout);
                        break;
                case '"':
                        (void)fputs("&quot;", stdout);
                        break;
                default:
                        (void)putchar((unsigned char)*text < ' ' || *text == '\177' ? ' ' : *text);
                }
        }
}

/* ---- layout ---------------------------------------------------------------------------------------- */

static size_t band_of(const struct picture *p, size_t i_node)
{
        size_t coalition = p->g->nodes[i_node].coalition;

        return coalition == GRAPH_NONE ? p->n_bands - 1 : coalition;
}

/* Boxes, and one spot for every layer that an edge passes. Return: false: out of memory or of bounds,
 * as errno says. */
static bool place_spots(struct picture *p)
{
        const struct graph *g = p->g;
        size_t n = g->n_nodes, n_segments = 0;

        for (size_t e = 0; e < g->n_edges; e++) {
                size_t from = g->nodes[g->edges[e].from].layer, to = g->nodes[g->edges[e].to].layer;
                size_t span = g->edges[e].is_closing ? 1 : to - from;

                n += span - 1;
                n_segments += span;
        }
        if (n > SPOTS_MAX || p->n_bands > SPOTS_MAX) {
                complain("The graph is too large for a picture: %zu services, %zu calls.", g->n_nodes, g->n_edges);
                (void)fprintf(stderr, "`coallocctl graph --dot` has no bounds.\n");
                return false;
        }
        p->spots = calloc(n + 1, sizeof *p->spots);
        p->order = calloc(n + 1, sizeof *p->order);
        p->segments = calloc(n_segments + 1, sizeof *p->segments);
        p->bands = calloc(p->n_bands, sizeof *p->bands);
        if (!p->spots || !p->order || !p->segments || !p->bands) {
                (void)out_of_memory();
                return false;
        }
        for (size_t i = 0; i < g->n_nodes; i++)
                p->spots[p->n_spots++] = (struct spot) {
                        .node = i, .layer = g->nodes[i].layer, .band = band_of(p, i), .rank = (double)i,
                };
        for (size_t e = 0; e < g->n_edges; e++) {
                const struct graph_edge *edge = &g->edges[e];
                size_t last = g->nodes[edge->to].layer, at = edge->from;

                for (size_t l = g->nodes[edge->from].layer + 1; !edge->is_closing && l < last; l++) {
                        p->spots[p->n_spots] = (struct spot) {
                                .node = GRAPH_NONE, .layer = l, .band = band_of(p, edge->to),
                                .rank = (double)p->n_spots,
                        };
                        p->segments[p->n_segments++] = (struct segment) {
                                .from = at, .to = p->n_spots, .is_first = at == edge->from,
                        };
                        at = p->n_spots++;
                }
                p->segments[p->n_segments++] = (struct segment) {
                        .from = at, .to = edge->to, .is_first = at == edge->from, .is_last = true,
                        .is_closing = edge->is_closing,
                };
        }
        for (size_t i = 0; i < p->n_spots; i++)
                p->order[i] = i;
        return true;
}

static int compare_spots(const void *a, const void *b, void *userdata)
{
        const struct spot *spots = userdata, *l = &spots[*(const size_t *)a], *r = &spots[*(const size_t *)b];

        if (l->band != r->band)
                return l->band < r->band ? -1 : 1;
        if (l->layer != r->layer)
                return l->layer < r->layer ? -1 : 1;
        if (l->rank != r->rank)
                return l->rank < r->rank ? -1 : 1;
        return l < r ? -1 : l > r;
}

/* Sorts, and numbers the spots of a layer in a band. */
static void rank_spots(struct picture *p)
{
        qsort_r(p->order, p->n_spots, sizeof *p->order, compare_spots, p->spots);
        for (size_t i = 0, rank = 0; i < p->n_spots; i++) {
                struct spot *s = &p->spots[p->order[i]];
                const struct spot *before = i > 0 ? &p->spots[p->order[i - 1]] : NULL;

                rank = before && before->band == s->band && before->layer == s->layer ? rank + 1 : 0;
                s->rank = (double)rank;
        }
}

/* Everybody to the middle of its neighbours on one side, in turn: few edges cross then (Sugiyama,
 * Tagawa, Toda 1981). */
static bool untangle(struct picture *p)
{
        _cleanup_free_ double *sum = calloc(p->n_spots + 1, sizeof *sum);
        _cleanup_free_ double *n = calloc(p->n_spots + 1, sizeof *n);

        if (!sum || !n) {
                (void)out_of_memory();
                return false;
        }
        rank_spots(p);
        for (unsigned sweep = 0; sweep < SWEEPS; sweep++) {
                for (size_t i = 0; i < p->n_spots; i++)
                        sum[i] = n[i] = 0;
                for (size_t i = 0; i < p->n_segments; i++) {
                        const struct segment *s = &p->segments[i];
                        size_t here = sweep % 2 == 0 ? s->to : s->from, there = sweep % 2 == 0 ? s->from : s->to;

                        if (s->is_closing || p->spots[here].band != p->spots[there].band)
                                continue;
                        sum[here] += p->spots[there].rank;
                        n[here]++;
                }
                for (size_t i = 0; i < p->n_spots; i++)
                        if (n[i] > 0)
                                p->spots[i].rank = sum[i] / n[i];
                rank_spots(p);
        }
        return true;
}

static double height_of(const struct spot *s)
{
        return s->node == GRAPH_NONE ? LANE_HEIGHT : BOX_HEIGHT + BOX_GAP;
}

/* The end of the run of spots of one band and layer, and its height. */
static size_t run_end(const struct picture *p, size_t begin, double *ret_height)
{
        const struct spot *first = &p->spots[p->order[begin]];
        size_t i = begin;

        *ret_height = 0;
        for (; i < p->n_spots; i++) {
                const struct spot *s = &p->spots[p->order[i]];

                if (s->band != first->band || s->layer != first->layer)
                        break;
                *ret_height += height_of(s);
        }
        return i;
}

static double layer_left(const struct picture *p, size_t layer)
{
        return MARGIN + FRAME_PADDING + (double)layer * (p->box_width + LAYER_GAP);
}

/* Who is in no coalition has no frame either. */
static double title_height(const struct picture *p, size_t band)
{
        return band + 1 == p->n_bands ? 0 : FRAME_TITLE + FRAME_PADDING / 2;
}

static void place_bands(struct picture *p)
{
        double y = MARGIN + TITLE_HEIGHT, height;

        for (size_t i = 0, end; i < p->n_spots; i = end) {
                struct band *band = &p->bands[p->spots[p->order[i]].band];
                double left = layer_left(p, p->spots[p->order[i]].layer);

                end = run_end(p, i, &height);
                band->left = band->height > 0 ? fmin(band->left, left) : left;
                band->right = fmax(band->right, left + p->box_width);
                band->height = fmax(band->height, height);
        }
        for (size_t b = 0; b < p->n_bands; b++) {
                p->bands[b].top = y;
                if (p->bands[b].height > 0)
                        y += p->bands[b].height + title_height(p, b) + BAND_GAP;
                p->width = fmax(p->width, p->bands[b].right + FRAME_PADDING + MARGIN);
        }
        for (size_t i = 0, end; i < p->n_spots; i = end) {
                const struct band *band = &p->bands[p->spots[p->order[i]].band];

                end = run_end(p, i, &height);
                double at = band->top + title_height(p, p->spots[p->order[i]].band) + (band->height - height) / 2;
                for (; i < end; i++) {
                        struct spot *s = &p->spots[p->order[i]];

                        s->x = layer_left(p, s->layer);
                        s->y = at;
                        at += height_of(s);
                }
        }
        p->height = y;
}

static void measure_boxes(struct picture *p)
{
        size_t longest = 0;

        for (size_t i = 0; i < p->g->n_nodes; i++) {
                size_t length = strlen(p->g->nodes[i].name);

                longest = length > longest ? length : longest;
        }
        longest = longest > NAME_SHOWN_MAX ? NAME_SHOWN_MAX : longest;
        p->box_width = fmax(BOX_WIDTH_MIN, (double)longest * CHARACTER + 32);
}

/* ---- drawing --------------------------------------------------------------------------------------- */

static void draw_frames(const struct picture *p)
{
        for (size_t b = 0; b + 1 < p->n_bands; b++) {
                const struct band *band = &p->bands[b];
                struct json_object *coalition = json_at(p->coalitions, b);
                bool is_formed = json_get_bool(coalition, "Formed");
                uint64_t usec_per_sec = NONE;
                char cpu[FORMAT_MAX] = "";

                if (band->height == 0)
                        continue;
                (void)printf("<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"14\" fill=\"%s\" "
                             "stroke=\"%s\"%s/>\n", band->left - FRAME_PADDING, band->top,
                             band->right - band->left + 2 * FRAME_PADDING,
                             band->height + title_height(p, b),
                             is_formed ? graph_color(b, true) : "none", graph_color(b, false),
                             is_formed ? "" : " stroke-dasharray=\"6 5\"");
                (void)printf("<text x=\"%.1f\" y=\"%.1f\" class=\"frame\" fill=\"%s\">coalition ",
                             band->left - FRAME_PADDING + 12, band->top + 18, graph_color(b, false));
                print_text(json_get_text(coalition, "Id", "?"), NAME_SHOWN_MAX);
                if (json_get_count(coalition, "TotalUSecPerSec", &usec_per_sec) && usec_per_sec != NONE)
                        (void)printf(": %s", words_cpu(cpu, (double)usec_per_sec / 1e3));
                (void)printf("%s</text>\n", is_formed ? "" : ", not formed");
        }
}

/* Where an edge leaves or enters a spot, in the middle of its height. */
static double middle_of(const struct spot *s)
{
        return s->y + (s->node == GRAPH_NONE ? LANE_HEIGHT : BOX_HEIGHT) / 2;
}

static void draw_segment(const struct picture *p, const struct segment *s)
{
        const struct spot *from = &p->spots[s->from], *to = &p->spots[s->to];
        double x1 = from->x + p->box_width, y1 = middle_of(from), x2 = to->x, y2 = middle_of(to);
        /* The arrow ends where it touches the box. */
        double tip = s->is_last ? 7 : 0;

        if (s->is_closing) {
                /* Back below the boxes: nothing else goes there. */
                double low = fmax(from->y, to->y) + BOX_HEIGHT + BOX_GAP + 14;

                (void)printf("<path class=\"edge closing\" d=\"M%.1f %.1f C%.1f %.1f %.1f %.1f %.1f %.1f\"/>\n",
                             from->x + p->box_width / 2, from->y + BOX_HEIGHT, from->x + p->box_width / 2, low,
                             to->x + p->box_width / 2, low, to->x + p->box_width / 2, to->y + BOX_HEIGHT + tip);
                return;
        }
        if (!s->is_first)
                (void)printf("<path class=\"edge passing\" d=\"M%.1f %.1f L%.1f %.1f\"/>\n", from->x, y1, x1, y1);
        double half = (x2 - x1) / 2;
        (void)printf("<path class=\"edge%s\" d=\"M%.1f %.1f C%.1f %.1f %.1f %.1f %.1f %.1f\"/>\n",
                     s->is_last ? "" : " passing", x1, y1, x1 + half, y1, x2 - half, y2, x2 - tip, y2);
}

static void draw_box(const struct picture *p, const struct spot *s)
{
        const struct graph_node *node = &p->g->nodes[s->node];
        char text[GRAPH_LABEL_MAX];

        (void)printf("<g><title>");
        print_text(node->name, SIZE_MAX);
        (void)printf("</title><rect class=\"box\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"8\" "
                     "stroke=\"%s\"/>", s->x, s->y, p->box_width, BOX_HEIGHT,
                     node->coalition == GRAPH_NONE ? "#94a3b8" : graph_color(node->coalition, false));
        (void)printf("<text class=\"name\" x=\"%.1f\" y=\"%.1f\">", s->x + p->box_width / 2, s->y + 23);
        print_text(node->name, NAME_SHOWN_MAX);
        (void)printf("</text><text class=\"facts\" x=\"%.1f\" y=\"%.1f\">", s->x + p->box_width / 2, s->y + 42);
        print_text(graph_label(text, node), SIZE_MAX);
        (void)printf("</text></g>\n");
}

static int draw_paths(const struct picture *p)
{
        double y = p->height + 16;

        for (size_t i = 0; i < json_length(p->paths) && i < PATHS_MAX; i++) {
                struct json_object *path = json_at(p->paths, i);
                _cleanup_free_ char *services = json_join(json_get_list(path, "Services"), ", ", ", ");
                uint64_t latency_usec = NONE, target_usec = 0;
                char latency[2 * FORMAT_MAX];

                if (!services)
                        return out_of_memory();
                (void)json_get_count(path, "LatencyUSec", &latency_usec);
                (void)json_get_count(path, "LatencyTargetUSec", &target_usec);
                (void)words_against_target(latency, latency_usec, target_usec);
                (void)printf("<text class=\"path\" x=\"%.1f\" y=\"%.1f\"><tspan font-weight=\"600\">", MARGIN, y);
                print_text(json_get_text(path, "Name", "?"), NAME_SHOWN_MAX);
                (void)printf("</tspan>%s<tspan%s>", *latency ? "\u2002" : "",
                             style_against_target(latency_usec, target_usec) == TERM_WARN ?
                             " fill=\"#c2410c\" font-weight=\"600\"" : "");
                print_text(latency, SIZE_MAX);
                (void)printf("</tspan>\u2002<tspan fill=\"#64748b\">");
                print_text(services, PATH_SHOWN_MAX);
                (void)printf("</tspan></text>\n");
                y += LINE_HEIGHT;
        }
        return STATUS_FINE;
}

/* About as wide as the line will be: text is not measured here. */
static double path_lines_width(const struct picture *p)
{
        size_t longest = 0;

        for (size_t i = 0; i < json_length(p->paths) && i < PATHS_MAX; i++) {
                struct json_object *services = json_get_list(json_at(p->paths, i), "Services");
                size_t length = 0;

                for (size_t k = 0; k < json_length(services) && length < PATH_SHOWN_MAX; k++)
                        length += strlen(json_text_at(services, k)) + 2;
                length = (length < PATH_SHOWN_MAX ? length : PATH_SHOWN_MAX) +
                         strnlen(json_get_text(json_at(p->paths, i), "Name", "?"), NAME_SHOWN_MAX) + 20;
                longest = length > longest ? length : longest;
        }
        return (double)longest * 7.2 + 2 * MARGIN;
}

static int draw(const struct picture *p)
{
        size_t n_lines = json_length(p->paths) < PATHS_MAX ? json_length(p->paths) : PATHS_MAX;
        double width = fmax(fmax(p->width, path_lines_width(p)), 420);
        double height = p->height + (double)n_lines * LINE_HEIGHT + MARGIN;

        (void)printf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" "
                     "height=\"%.0f\" font-family=\"system-ui, 'DejaVu Sans', sans-serif\">\n", width, height,
                     width, height);
        (void)printf("<title>Call graph of coallocd</title>\n"
                     "<style>\n"
                     ".title { font-size: 20px; font-weight: 600; fill: #0f172a }\n"
                     ".sub { font-size: 13px; fill: #64748b }\n"
                     ".frame { font-size: 13px; font-weight: 600 }\n"
                     ".box { fill: #ffffff; stroke-width: 1.5 }\n"
                     ".name { font-size: 14px; font-weight: 600; fill: #0f172a; text-anchor: middle }\n"
                     ".facts { font-size: 13px; fill: #475569; text-anchor: middle }\n"
                     ".path { font-size: 13px; fill: #0f172a }\n"
                     ".edge { fill: none; stroke: #475569; stroke-width: 1.6; marker-end: url(#tip) }\n"
                     ".passing { marker-end: none }\n"
                     ".closing { stroke-dasharray: 5 4 }\n"
                     "</style>\n"
                     "<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"1\" refY=\"4\" markerWidth=\"5.5\" "
                     "markerHeight=\"5.5\" orient=\"auto\"><path d=\"M0 0 L8 4 L0 8 Z\" fill=\"#475569\"/></marker>"
                     "</defs>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n");
        (void)printf("<text class=\"title\" x=\"%.1f\" y=\"%.1f\">Who calls whom</text>\n"
                     "<text class=\"sub\" x=\"%.1f\" y=\"%.1f\">CPU held (100%% is one CPU), latency by the "
                     "model</text>\n", MARGIN, MARGIN + 8, MARGIN, MARGIN + 28);
        draw_frames(p);
        for (size_t i = 0; i < p->n_segments; i++)
                draw_segment(p, &p->segments[i]);
        for (size_t i = 0; i < p->n_spots; i++)
                if (p->spots[i].node != GRAPH_NONE)
                        draw_box(p, &p->spots[i]);
        int status = draw_paths(p);
        (void)printf("</svg>\n");
        return status;
}

int graph_print_svg(const struct graph *g, struct json_object *paths, struct json_object *coalitions)
{
        struct picture p = {
                .g = g, .paths = paths, .coalitions = coalitions, .n_bands = json_length(coalitions) + 1,
        };
        int status = STATUS_FAILED;

        measure_boxes(&p);
        if (place_spots(&p) && untangle(&p)) {
                place_bands(&p);
                status = draw(&p);
        }
        free(p.spots);
        free(p.order);
        free(p.segments);
        free(p.bands);
        return status;
}
