# FER Space in a container; see docs/deploying.md. Not built where it was written: there was no Docker.
FROM python:3.12-slim
RUN useradd --create-home --uid 1000 user
WORKDIR /home/user/app
COPY requirements.lock .
# The CPU build of torch is a tenth of the one with CUDA. For a machine with a GPU:
# docker build --build-arg TORCH_INDEX=https://pypi.org/simple .
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN grep -E "^(torch|torchvision)==" requirements.lock > torch.txt \
    && pip install --no-cache-dir --index-url "$TORCH_INDEX" -r torch.txt
RUN grep -vE "^(torch|torchvision|triton|nvidia-|cuda-)" requirements.lock > rest.txt \
    && pip install --no-cache-dir -r rest.txt
COPY --chown=user app.py LICENSE README.md ./
COPY --chown=user docs docs
COPY --chown=user examples examples
COPY --chown=user weights weights
COPY --chown=user fer_space fer_space
USER user
ENV HOST=0.0.0.0 PORT=7860
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=180s \
    CMD python -c "import urllib.request as u; u.urlopen('http://127.0.0.1:7860/gradio_api/app_id', timeout=4)"
CMD ["python", "app.py"]
