#!/usr/bin/env bash
# Makes what the demonstration is given, from the pictures beside this folder: a
# picture with text, and a film of three scenes. Run it again only to change them;
# what it makes is in the repository.
set -euo pipefail
cd "$(dirname "$0")"
pictures=../pictures

convert "$pictures/lake.jpg" -resize 900x -gravity center -crop 900x500+0+0 +repage \
  -fill '#fdf6e3e8' -draw 'roundrectangle 90,110 810,390 24,24' \
  -font DejaVu-Serif -fill '#1d2b44' \
  -pointsize 54 -annotate +0-70 'The lake at dawn' \
  -pointsize 32 -annotate +0+15 'Three scenes, cut by one machine' \
  -annotate +0+70 'and spoken by another.' -strip -quality 80 poster.jpg

ffmpeg -nostdin -loglevel error -y \
  -loop 1 -t 2 -i "$pictures/lake.jpg" -loop 1 -t 2 -i "$pictures/mosaic.jpg" \
  -loop 1 -t 2 -i "$pictures/tower.jpg" -f lavfi -t 6 -i 'sine=frequency=220:sample_rate=22050' \
  -filter_complex "
    [0] scale=640:-2, crop=320:180:t*40:60, fps=12, setsar=1 [lake];
    [1] scale=480:-2, crop=320:180:t*20:t*50, fps=12, setsar=1 [mosaic];
    [2] scale=320:-2, crop=320:180:0:t*60, fps=12, setsar=1 [tower];
    [lake] [mosaic] [tower] concat=n=3:v=1 [film]" \
  -map '[film]' -map 3:a -c:v libx264 -preset slow -crf 30 -pix_fmt yuv420p -c:a aac -b:a 24k \
  -movflags +faststart -fflags +bitexact -flags:v +bitexact -flags:a +bitexact film.mp4
