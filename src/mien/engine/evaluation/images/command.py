"""`mien compare-images`: rebuilt pictures against the true ones, paired by name.

Its help reads this module, which therefore imports nothing heavy at its top.
"""

from typing import Literal

from mien.core.errors import MienError


def compare_images(
    folders: list[str],
    *,
    metrics: str = "l2,psnr,ssim,ms_ssim",
    output: str | None = None,
    resize: int = 0,
    legacy: bool = False,
    lpips_network: Literal["alex", "vgg"] = "alex",
    lpips_backbone: str = "",
    lpips_heads: str = "",
    recogniser: str = "",
    curricular: str = "",
    id_crop: Literal["points", "mtcnn", "ffhq"] = "points",
    mtcnn: str = "",
    inception: str = "",
    bootstrap: int = 2000,
    seed: int = 0,
) -> str:
    """Measure rebuilt pictures against the true ones, which are paired by file name without its ending.

    l2: mean squared difference in -1..1. psnr: RGB, in dB. ssim: Gaussian window of 11 pixels. ms_ssim: as many of its
    five scales as fit. lpips, id (cosine of the faces' embeddings) and fid (Fréchet distance of the two sets) need the
    files of their networks, which the table names with their SHA-256.

    Args:
        folders: one or more folders of rebuilt pictures, and last the folder of the true ones.
        metrics: names of metrics, by commas: l2, psnr, ssim, ms_ssim, lpips, id, fid.
        output: folder for metrics.json, metrics.md and pictures.csv.
        resize: side to which all pictures are reduced or enlarged before; 0 takes them as they are.
        legacy: also give PSNR and SSIM as ASIT's release computes them, which are not comparable with any other, and id
            with the faults of the published MTCNN code.
        lpips_network: backbone of LPIPS.
        lpips_backbone: file of its ImageNet weights, as torchvision has them.
        lpips_heads: file of its linear heads, as the authors of LPIPS released them.
        recogniser: file of ArcFace's IR-SE50 (model_ir_se50.pth), for id@ir_se50.
        curricular: file of CurricularFace's IR-101 (CurricularFace_Backbone.pth), for id@ir_101.
        id_crop: points cuts each face out by five points found in it, 112 pixels; mtcnn does so by MTCNN's points, as
            pSp, ReStyle and HyperStyle measure identity; ffhq takes the fixed crop that the identity loss takes, of
            pictures aligned as FFHQ's.
        mtcnn: folder of MTCNN's files: pnet.npy, rnet.npy and onet.npy of pSp, or facenet-pytorch's .pt files.
        inception: file of FID's Inception (pt_inception-2015-12-05-6726825d.pth).
        bootstrap: bootstrap resamples for the confidence intervals; 0 leaves them out.
        seed: seed of the resampling.
    """
    from mien.engine.evaluation.images.measure import measured, networks_of
    from mien.engine.evaluation.images.networks import NetworkFiles
    from mien.engine.evaluation.images.pairs import paired
    from mien.engine.evaluation.images.tables import summary, write_tables
    from mien.engine.evaluation.options import Bootstrap
    from mien.media.files import writable_folder

    if len(folders) < 2:
        raise MienError("compare-images takes folders of rebuilt pictures and last the folder of the true ones.")
    if bootstrap < 0 or seed < 0 or not (resize == 0 or 8 <= resize <= 4096):
        raise MienError("--bootstrap and --seed must be at least 0, --resize 0 or in 8..4096.")
    names = [name.strip() for name in metrics.split(",") if name.strip()]
    files = NetworkFiles(lpips_network, lpips_backbone, lpips_heads, recogniser, curricular, inception, id_crop, mtcnn)
    runs = {folder: paired(folder, folders[-1]) for folder in folders[:-1]}
    looking, drawn = networks_of(names, legacy=legacy, files=files), Bootstrap(bootstrap, seed)
    found = [
        measured(folder, pairs, names, resize=resize, legacy=legacy, looking=looking, bootstrap=drawn)
        for folder, pairs in runs.items()
    ]
    text = summary(found)
    if output:
        write_tables(writable_folder(output), found, truth=folders[-1], resize=resize)
        text += f"\nwritten to {output}"
    return text
